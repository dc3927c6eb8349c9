# Run tests in an environment of another Python: core, report and Parquet, no framework; so some skip.
#     sh tests/other_python.sh PYTHON FOLDER TESTS...
set -eu
python=$1 folder=$2
shift 2
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
"$folder/bin/python" -m pip --disable-pip-version-check install --quiet --constraint constraints.txt \
  --editable '.[parquet,report]' hypothesis pandas pytest pytest-randomly pytest-timeout pytest-xdist statsmodels
CI= CUTPOINT_FEW_EXTRAS=1 OMP_NUM_THREADS=1 "$folder/bin/python" -m pytest -n 2 -p no:cacheprovider "$@"
