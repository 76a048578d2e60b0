"""LaSOT's one-pass evaluation (Fan et al., CVPR 2019): OPE with frames in which the target is absent.

All but got10k remove the absent frames and still divide by the length of the whole sequence, so even a perfect tracker
stays below 20/21 here. Normalised precision is its curve's value at 0.20; got10k alone takes the curve's mean, which
is another number under the same name.
"""

from __future__ import annotations

from dataclasses import replace

from distillery.tracking.protocols import ope

VARIANTS: dict[str, ope.Variant] = {
    "official": replace(
        ope.VARIANTS["matlab"],
        toolkit="HengLan/LaSOT_Evaluation_Toolkit (calc_seq_err_robust.m, eval_tracker.m)",
        absent_fails=True,
    ),
    "pysot": replace(ope.VARIANTS["pysot"], absent_fails=True),
    "pytracking": replace(ope.VARIANTS["pytracking"], absent_fails=True),
    "got10k": ope.VARIANTS["got10k"],
}
DEFAULT = "official"
