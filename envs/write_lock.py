"""Write every package that `make install` would install here, with the sha256 of its file.

It holds for this platform and version of Python: `make lock` writes envs/lock.txt, and `make install` then
takes nothing else. The digests are those that the registry gives, so look at what changed before you keep them.
"""

import json
import subprocess
import sys

ASKED = ["--constraint", "envs/constraints.txt", ".[dev]"]


def lock_of(report: dict) -> str:
    """The lines of a lock file from what pip says it would install; the project itself is left out."""
    lines = []
    for each in report["install"]:
        if "dir_info" in each["download_info"]:
            continue  # the project, which is a folder
        about, hashes = each["metadata"], each["download_info"]["archive_info"].get("hashes", {})
        if "sha256" not in hashes:
            sys.exit(f"the registry gives no sha256 of {about['name']}, so it cannot be locked.")
        lines.append(f"{about['name'].lower()}=={about['version']} --hash=sha256:{hashes['sha256']}")
    return "".join(f"{line}\n" for line in sorted(lines))


if __name__ == "__main__":
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    done = subprocess.run([*command, "--report", "-", *ASKED], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    sys.stdout.write(lock_of(json.loads(done.stdout)))
