"""ImageNet weights of torchvision, rewritten as safetensors: no job of the pipeline reads a pickle."""

from __future__ import annotations

from pathlib import Path

from distillery.errors import UserError
from distillery.files import atomic_file


def convert(file: Path, folder: Path) -> Path:
    """Rewrites a file of weights.

    Args:
        file: As torchvision publishes it, `<network>-<first digits of its SHA-256>.pth`.
        folder: Where `<network>.safetensors` is written, in torchvision's names of tensors.

    Returns:
        The file written.

    Raises:
        UserError: If torchvision knows no network of that name, or the file does not hold its tensors.
    """
    from safetensors.torch import save_file
    from torch.hub import load_state_dict_from_url
    from torchvision import models

    name = file.name.rpartition("-")[0]
    if name not in models.list_models():
        raise UserError(f"torchvision knows no network {name!r}", file=file, remedy="correct the row in the register")
    try:
        # A file that is there is not fetched; weights_only keeps the pickle from running code.
        state = load_state_dict_from_url(
            f"https://download.pytorch.org/models/{file.name}", str(file.parent), progress=False, weights_only=True
        )
        models.get_model(name).load_state_dict(state)
    except Exception as error:  # unpickling and loading raise many types on what is not a state dict
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"does not hold the weights of {name} ({reason})", file=file, remedy="delete it and run the command again"
        ) from error
    target = folder / f"{name}.safetensors"
    with atomic_file(target) as temporary:
        save_file({tensor: value.contiguous() for tensor, value in state.items()}, temporary)
    return target
