# Train the re-identification network, and the weights that backbones start from where nobody publishes any. Trackers
# and networks of person search, teachers and students alike, are trained by the same command: students.smk.


for network in pretrained_here():

    rule:
        name:
            f"pretrain_{network}"
        input:
            code=sources("distillery.person_search.training", methods.METHODS["oim"]),
            data="<data>/pretraining.json",
        output:
            multiext(f"<checkpoints>/person_search/pretraining/{network}", **CHECKPOINT),
        log:
            f"<logs>/pretrain/{network}.log",
        benchmark:
            f"<benchmarks>/pretrain/{network}.jsonl"
        priority: 4
        threads: THREADS
        params:
            job=parameters(jobs.pretraining, network),
            network=network,
        message:
            f"Pre-training the person-search backbone {network}"
        shell:
            "python -m distillery train-search --params {params.job:q} --data {input.data}"
            " --out {params.network}={output.weights} 2>&1 | tee {log}"


rule train_reid:
    input:
        code=sources("distillery.person_search.reid_training"),
        data="<data>/{trained_on}.json",
        pretrained=begun_with(SEARCH.reid_teacher.shape.begun().pretrained),
    output:
        multiext("<checkpoints>/person_search/{trained_on}/reid/teacher/seed{seed}", **CHECKPOINT),
    log:
        "<logs>/train_reid/{trained_on}/seed{seed}.log",
    benchmark:
        "<benchmarks>/train_reid/{trained_on}/seed{seed}.jsonl"
    priority: 1
    threads: THREADS
    params:
        job=reid_job,
    message:
        "Training the re-identification teacher on {wildcards.trained_on}, seed {wildcards.seed}"
    shell:
        "python -m distillery train-reid --params {params.job:q} --data {input.data}"
        " --out {output.weights} 2>&1 | tee {log}"
