"""What is odd about the official files of the tracking sets and no fault: what it is, and what is done about it.

Where a number stands, it was counted on the official annotations.
"""

from __future__ import annotations

from distillery.data.check_boxes import ODDITIES as OF_BOXES
from distillery.data.check_images import ODDITIES as OF_IMAGES

OF_TEXT = {
    "separator_tab": "files whose numbers are separated by tabs instead of commas",
    "separator_space": "files whose numbers are separated by spaces instead of commas",
    "separator_semicolon": "files whose numbers are separated by semicolons instead of commas",
    "separator_mixed": "files in which several characters separate numbers (BlurCar1 of OTB-100)",
    "line_ends_crlf": "files with the line ends of Windows",
    "no_final_newline": "files whose last line does not end",
    "byte_order_mark": "files that begin with a byte-order mark",
}
"""Of files of numbers in general."""
COMMON = {
    "empty_box": "boxes without width or height, no target being there to be boxed",
    "coordinate_below_first": "boxes that begin before the image's first pixel",
    "stray_file": "files among the images that are none (.DS_Store, Thumbs.db); they are left out",
}
"""Of boxes and folders in general."""
_ALL = COMMON | OF_TEXT | OF_BOXES | OF_IMAGES

ODDITIES = {
    "otb100": {
        "later_start": "sequences annotated from a later frame than the first (David 300, BlurCar1 247, BlurCar3 3, "
        "BlurCar4 18; Tiger1 is scored from frame 6); they are scored from there",
        "images_without_truth": "images before the first and after the last annotated one (David, Diving, Football1, "
        "Freeman3, Freeman4); they are left out",
        "rows_before_the_first": "rows of truth before the first scored frame (Tiger1's file has 354, 349 are scored)",
        "two_targets": "sequences that share their images with another target (Jogging, Skating2)",
        "second_target_alone": "sequences of which the set has the second target only (Human4-2)",
        "five_digits": "sequences whose images are numbered with five digits (Board)",
        **_ALL,
    },
    "dtb70": {
        "rows_after_the_last": "rows 0,0,0,0 after the last frame, as some copies have them; they are left out",
        "ten_flags": "attribute files with ten flags, of the toolkit's release; motion blur is not labelled there",
        **_ALL,
    },
    "vot": {
        "rectangle": "sequences whose truth is a rectangle x,y,w,h instead of a polygon (conduction1 of VOT2018)",
        "flat_polygon": "polygons without area",
        "tags_cut": "tag files that end before the sequence does; the rest counts as 0, as the official toolkit has it",
        "tags_empty": "tag files without content; the difficulty counts as not labelled",
        "illu_change": "files spelt illu_change instead of illum_change",
        **_ALL,
    },
    "lasot": {
        "empty_while_absent": "boxes 0,0,0,0 while the target is absent (10,286 of the 18,346 such frames)",
        "box_while_absent": "boxes given although the target is absent (8,060 in the test set); the official score "
        "leaves such frames out",
        "empty_while_visible": "boxes without area although the target is not labelled absent (3 in the test set)",
        "images_without_truth": "images after the last annotated one (monkey-17); results are cut there",
        **{name: what for name, what in _ALL.items() if name != "empty_box"},
    },
    "trackingnet": {
        "first_box_only": "sequences of which the first box alone is public; a server keeps the others",
        **_ALL,
    },
    "got10k": {
        "first_box_only": "test sequences of which the first box alone is public; a server keeps the others",
        "absent_frame": "frames labelled as without the target",
        "hidden_frame": "frames with cover 0, in which nothing of the target is seen; they are not scored",
        **_ALL,
    },
}
"""Benchmark -> its table."""
ODDITIES |= dict.fromkeys(("vot2018", "vot2019"), ODDITIES["vot"])
