"""What a wheel takes beside the folders that pyproject.toml names; an editable installation takes none of it.

Hatch copies what it is forced to include even where the package is to be read from its folder, and would then
import the copy.
"""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACES = {"workflow_scripts/modelkin": "modelkin", "Snakefile": "modelkin/workflow/Snakefile"}


class Wheel(BuildHookInterface):
    """Add the package and the Snakefile, each at its place."""

    def initialize(self, version, build_data):
        """Before a build of the version 'standard' or 'editable'."""
        if version != "editable":
            build_data["force_include"] |= PLACES
