# Find the students' architectures, record what each teacher says, and train the trackers of each run in one job
# (one teacher forward for all its students); train the person-search networks.


rule select_students:
    input:
        code=selection_sources,
        data="<data>/got10k.json",
        teacher=selection_teacher,
    output:
        found="<results>/selection/{family}/{strategy}.json",
    log:
        "<logs>/select_students/{family}/{strategy}.log",
    benchmark:
        "<benchmarks>/select_students/{family}/{strategy}.jsonl"
    priority: 2
    threads: THREADS
    params:
        job=selection_job,
    message:
        "Searching for {wildcards.family} students, {wildcards.strategy}"
    shell:
        "python -m distillery select-students --params {params.job:q} --data {input.data}"
        " --teacher {input.teacher} --out {output.found} --workers {threads} 2>&1 | tee {log}"


rule crop_clips:
    input:
        code=sources("distillery.tracking.crop_store"),
        data="<data>/got10k.json",
    output:
        crops="<recordings>/{family}/crops.safetensors",
    log:
        "<logs>/crop_clips/{family}.log",
    benchmark:
        "<benchmarks>/crop_clips/{family}.jsonl"
    priority: 3
    threads: THREADS
    params:
        job=crops_job,
    message:
        "Making the crops of {wildcards.family} pairs"
    shell:
        "python -m distillery crop-clips --params {params.job:q} --data {input.data} --out {output.crops}"
        " --workers {threads} 2>&1 | tee {log}"


rule record_teacher:
    input:
        code=family_sources,
        data="<data>/got10k.json",
        crops=recorded_crops,
        teacher="<checkpoints>/tracking/{family}/{teacher_run}/seed{seed}.safetensors",
    output:
        recording="<recordings>/{family}/{teacher_run}/seed{seed}.safetensors",
    log:
        "<logs>/record_teacher/{family}/{teacher_run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/record_teacher/{family}/{teacher_run}/seed{seed}.jsonl"
    priority: 2
    threads: THREADS
    params:
        job=recording_job,
        crops=options_of("crops"),
    message:
        "Recording the {wildcards.family} teacher, seed {wildcards.seed}"
    shell:
        "python -m distillery record-teacher --params {params.job:q} --data {input.data}"
        " --teacher {input.teacher} {params.crops} --out {output.recording} 2>&1 | tee {log}"


for family, run in tracker_runs():

    rule:
        name:
            f"train_{family}_{run}"
        input:
            **tracker_inputs(family, run),
            code=sources(*families.training_modules(family)),
            data="<data>/got10k.json",
        output:
            weights=tracker_outputs(family, run, "safetensors"),
            others=tracker_outputs(family, run, "json") + tracker_outputs(family, run, "jsonl"),
        log:
            f"<logs>/train_trackers/{family}/{run}/seed{{seed}}.log",
        benchmark:
            f"<benchmarks>/train_trackers/{family}/{run}/seed{{seed}}.jsonl"
        priority: priority_of(family, run)
        threads: THREADS
        params:
            job=tracker_training_job(family, run),
            files=tracker_files(family, run),
        message:
            f"Training {family}, run {run}, seed {{wildcards.seed}}"
        shell:
            "python -m distillery train-trackers --params {params.job:q} --data {input.data} {params.files} 2>&1 | tee {log}"


for run in SEARCH.runs:

    rule:
        name:
            f"train_search_{run}"
        input:
            **search_inputs(run),
            code=sources("distillery.person_search.training", methods.METHODS[SEARCH.runs[run].method]),
            data="<data>/{trained_on}.json",
        output:
            **search_outputs(run),
        log:
            f"<logs>/train_search/{run}/{{trained_on}}/{{network}}/{of_seeds(SEEDS)}.log",
        benchmark:
            f"<benchmarks>/train_search/{run}/{{trained_on}}/{{network}}/{of_seeds(SEEDS)}.jsonl"
        wildcard_constraints:
            **search_places(run),
        priority: 1
        threads: THREADS
        params:
            job=search_training_job(run),
            files=search_files(run),
        message:
            f"Training person search on {{wildcards.trained_on}}, run {run}, {{wildcards.network}}, {SAID}"
        shell:
            "python -m distillery train-search --params {params.job:q} --data {input.data} {params.files} 2>&1 | tee {log}"
