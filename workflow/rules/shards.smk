# The crops of several training sets in a few large files, for the families of trackers whose pairs have sources.
# A killed job goes on from the shards that are whole: they lie in the folder beside the output, which nobody removes.


rule crop_shards:
    input:
        code=shard_sources,
        data=shard_data,
    output:
        sidecar="<recordings>/{family}/shards.json",
    log:
        "<logs>/crop_shards/{family}.log",
    benchmark:
        "<benchmarks>/crop_shards/{family}.jsonl"
    priority: 3
    threads: max(THREADS, CORES)
    params:
        job=shards_job,
        folder=subpath(output.sidecar, strip_suffix=".json"),
    message:
        "Making the crops of {wildcards.family}'s training sets"
    shell:
        "python -m distillery crop-shards --params {params.job:q} --data {input.data} --out {params.folder}"
        " --workers {threads} 2>&1 | tee {log}"
