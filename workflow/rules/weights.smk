# ImageNet weights of torchvision as safetensors, for the backbones that start from them. Training jobs fetch nothing.


rule fetch_weights:
    output:
        # What is there stays when getting the rest fails.
        weights=[update(file) for file in sorted(IMAGENET_FILES)],
    log:
        "<logs>/fetch/weights.log",
    retries: 3
    localrule: True
    params:
        folder=subpath(output[0], ancestor=2),
    message:
        "Getting ImageNet weights"
    shell:
        "python -m distillery fetch weights --to {params.folder} 2>&1 | tee {log}"
