"""The command line: modelkin, or python -m modelkin."""

from modelkin.commands.parser import main

if __name__ == "__main__":
    main()
