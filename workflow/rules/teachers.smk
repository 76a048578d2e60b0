# Train the teachers. The re-identification network is trained here; the SiamFC teacher is one of the tracker runs,
# and all of them, teachers and students alike, are trained by the same command.


rule train_reid:
    input:
        code=sources("distillery.person_search.training"),
        data="<data>/cuhk_sysu.json",
        pretrained=present(SEARCH.reid_teacher.shape.pretrained),
    output:
        multiext("<checkpoints>/person_search/reid/teacher/seed{seed}", **CHECKPOINT),
    log:
        "<logs>/train_reid/seed{seed}.log",
    benchmark:
        "<benchmarks>/train_reid/seed{seed}.jsonl"
    priority: 1
    threads: THREADS
    params:
        job=reid_job,
    message:
        "Training the re-identification teacher, seed {wildcards.seed}"
    shell:
        "python -m distillery train-reid --params {params.job:q} --data {input.data}"
        " --out {output.weights} 2>&1 | tee {log}"
