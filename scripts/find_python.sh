#!/bin/sh
# Prints the first Python >= 3.11; where $PYTHON is set, only that one is asked.
set -eu
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
echo "No Python >= 3.11 as ${PYTHON:-python3}; name one with PYTHON=/path/to/python3." >&2
exit 1
