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
        pretrained=present(SEARCH.reid_teacher.shape.pretrained),
    output:
        **checkpoint_files("<checkpoints>/person_search/{trained_on}/reid/teacher"),
    log:
        f"<logs>/train_reid/{{trained_on}}/{of_seeds(SEEDS)}.log",
    benchmark:
        f"<benchmarks>/train_reid/{{trained_on}}/{of_seeds(SEEDS)}.jsonl"
    priority: 1
    threads: THREADS
    params:
        job=reid_job,
        files=files_of_seeds(),
    message:
        f"Training the re-identification teacher on {{wildcards.trained_on}}, {SAID}"
    shell:
        "python -m distillery train-reid --params {params.job:q} --data {input.data} {params.files} 2>&1 | tee {log}"
