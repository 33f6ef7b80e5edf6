"""Refresh the front-end files kept in growth_engine/web/static from their npm packages.

Run ``python scripts/vendor_assets.py`` after changing a version below or the list of icons. Needs npm on
the path and the registry; nothing else of the project ever needs either. Only built files are copied,
each with its licence.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "growth_engine" / "web" / "static"
VENDOR = STATIC / "vendor"

# package, version, licence, files of the package to keep
PACKAGES = [
    ("@tabler/core", "1.6.1", "MIT", ["dist/css/tabler.min.css", "dist/js/tabler.min.js"]),
    ("htmx.org", "2.0.11", "0BSD", ["dist/htmx.min.js", "LICENSE"]),
    ("weui", "2.6.26", "MIT", ["dist/style/weui.min.css", "LICENSE.txt"]),
    ("echarts", "6.1.0", "Apache-2.0", ["dist/echarts.min.js", "LICENSE", "NOTICE", "licenses"]),
]
ICON_PACKAGE = ("@tabler/icons", "3.51.0", "MIT")
#: Names of outline icons to keep, one a line.
ICONS = Path(__file__).with_name("icons.txt")

TABLER_LICENCE = """MIT License

Copyright (c) 2018-2026 The Tabler Authors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the
Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL
THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.
"""


def unpack(package: str, version: str, into: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not on the path: install Node.js first.")
    command = [npm, "pack", "--silent", f"{package}@{version}"]
    done = subprocess.run(command, cwd=into, check=True, capture_output=True, text=True)  # noqa: S603
    name = done.stdout.split()[-1]
    folder = into / name.removesuffix(".tgz")
    with tarfile.open(into / name) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def vendor(package: str, version: str, files: list[str], work: Path) -> None:
    short = package.removeprefix("@").replace("/", "-")
    for old in VENDOR.glob(f"{short}-*"):
        shutil.rmtree(old)
    target = VENDOR / f"{short}-{version}"
    target.mkdir(parents=True)
    source = unpack(package, version, work)
    for name in files:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / Path(name).name)
            continue
        if Path(name).suffix in (".js", ".css"):
            text = (source / name).read_text(encoding="utf-8")
            (target / Path(name).name).write_text(_without_map(text), encoding="utf-8")
        else:
            shutil.copyfile(source / name, target / Path(name).name)
    if package == "@tabler/core":  # its package carries no licence file
        (target / "LICENSE").write_text(TABLER_LICENCE, encoding="utf-8")


def _without_map(text: str) -> str:
    """Source maps are not kept, so nothing may ask for them."""
    return re.sub(r"\n?(/\*|//)# sourceMappingURL=[^\n*]*(\*/)?\s*$", "\n", text)


def sprite(work: Path) -> None:
    """One SVG with a symbol for each icon of the list, instead of a font of five thousand."""
    source = unpack(ICON_PACKAGE[0], ICON_PACKAGE[1], work) / "icons" / "outline"
    symbols = []
    for name in sorted(set(ICONS.read_text(encoding="utf-8").split())):
        svg = (source / f"{name}.svg").read_text(encoding="utf-8")
        inner = re.sub(r"\s+", " ", svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]).strip()
        inner = inner.replace('<path stroke="none" d="M0 0h24v24H0z" fill="none"/>', "").replace(" />", "/>")
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
            f' stroke-linecap="round" stroke-linejoin="round">{inner}</symbol>'
        )
    head = f"<!-- {ICON_PACKAGE[0]} {ICON_PACKAGE[1]}, MIT, (c) 2020-2026 Paweł Kuna -->"
    text = f'{head}\n<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"
    (STATIC / "icons.svg").write_text(text, encoding="utf-8")


def note() -> None:
    rows = [f"| {name} | {version} | {licence} |" for name, version, licence, _ in PACKAGES]
    rows.append(f"| {ICON_PACKAGE[0]} (as ../icons.svg) | {ICON_PACKAGE[1]} | {ICON_PACKAGE[2]} |")
    text = (
        "# Vendored front-end files\n\n"
        "Built files of these npm packages, unchanged but for the removed source map lines; each folder has\n"
        "its licence. Versions and files stand in `scripts/vendor_assets.py`, icons in `scripts/icons.txt`:\n"
        "change them there and run `python scripts/vendor_assets.py` (needs npm).\n\n"
        "| Package | Version | Licence |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )
    (VENDOR / "VENDORED.md").write_text(text, encoding="utf-8")


def main() -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for package, version, _, files in PACKAGES:
            vendor(package, version, files, work)
        sprite(work)
    note()


if __name__ == "__main__":
    main()
