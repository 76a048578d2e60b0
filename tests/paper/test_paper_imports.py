"""The paper stage starts fast and runs where no network library is wanted."""

from __future__ import annotations

import subprocess
import sys


def test_the_paper_stage_imports_no_torch():
    modules = "distillery.paper.report, distillery.paper.figures, distillery.paper.tables"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
