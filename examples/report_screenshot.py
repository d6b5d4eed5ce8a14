"""Make the README's picture of a report from the audit that ``pfungst demo`` wrote.

    python examples/report_screenshot.py pfungst-demo/audit docs/figures/report.png

It writes the report again and has chromium (``apt-get install chromium``) draw its first screen without
network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from pfungst.report.audit_page import write_report

SIZE = (1400, 1480)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-prefers-reduced-motion",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=4000",
)


def main(audit: Path, picture: Path) -> None:
    """Draw the report's first screen as a PNG of 256 colours."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    page = write_report(audit).resolve()
    with tempfile.TemporaryDirectory() as profile:
        shot = Path(profile) / "shot.png"
        size = f"--window-size={SIZE[0]},{SIZE[1]}"
        command = [
            chromium,
            *FLAGS,
            f"--user-data-dir={profile}",
            size,
            f"--screenshot={shot}",
            page.as_uri(),
        ]
        subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with Image.open(shot) as drawn:
            reduced = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.parent.mkdir(parents=True, exist_ok=True)
    reduced.save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
