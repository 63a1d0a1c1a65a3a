"""``contents.py DIST``: the wheel holds the package and nothing else, the sdist also what it takes to test it."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

SOURCES = ["django_timelines", "docs", "example_project", "tests"]
FILES = ["LICENSE", "Makefile", "README.md", "manage.py", "pyproject.toml", "requirements.lock"]
BY_HATCH = {".gitignore", "PKG-INFO"}


def main(dist: Path) -> None:
    [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()} - BY_HATCH
    compare(wheel.name, in_wheel, tracked("django_timelines"))
    compare(sdist.name, in_sdist, tracked(*SOURCES, *FILES))


def tracked(*paths: str) -> set[str]:
    """What git tracks there, or would if it were added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())


def compare(archive: str, found: set[str], wanted: set[str]) -> None:
    if found != wanted:
        sys.exit(f"{archive}\n  lacks: {sorted(wanted - found)}\n  should not hold: {sorted(found - wanted)}")


main(Path(sys.argv[1]))
