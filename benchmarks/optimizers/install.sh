#!/usr/bin/env bash
# An environment per library under PARETUNE_PEERS, for `make bench-peers`. Needs Python 3.11 (PYTHON=...); torch comes first
# where it is needed, from wherever pip is set up to find it. What fails to install is named and the others go on.
set -uo pipefail

peers=${PARETUNE_PEERS:-$HOME/.cache/paretune/peers}
python=${PYTHON:-python3.11}
failed=()

# environment NAME PACKAGE...: make it if it is not there, and install.
environment() {
  local name=$1
  shift
  [ -x "$peers/$name/bin/python" ] || "$python" -m venv "$peers/$name"
  if PATH="$peers/$name/bin:$PATH" "$peers/$name/bin/python" -m pip install -q --disable-pip-version-check "$@"; then
    echo "installed in $name: $*"
  else
    failed+=("$name: $*")
  fi
}

mkdir -p "$peers"
environment misc "setuptools<80" "numpy<2.4" scipy scikit-learn nevergrad==1.0.12 scikit-optimize==0.10.2
environment smac swig
environment smac smac==2.4.1
environment optuna torch==2.13.0
environment optuna optuna==5.0.0 scipy
environment ax torch==2.13.0
environment ax ax-platform==1.3.1
environment syne torch==2.13.0
environment syne syne-tune==0.16.0 botorch huggingface_hub # the last is imported but not declared
environment hebo torch==2.13.0
environment hebo --no-deps HEBO==0.3.6 # its own pins (numpy < 1.25, GPy) do not build on Python 3.11
environment hebo pymoo==0.6.0.1 gpytorch pandas scikit-learn disjoint-set
environment dehb DEHB==0.1.2
environment vizier "google-vizier[jax]==0.1.24"
environment vizier jax==0.5.3 jaxlib==0.5.3 flax==0.10.6 optax==0.2.4 # its equinox needs an older jax

for each in "${failed[@]}"; do
  echo "not installed: $each" >&2
done
[ ${#failed[@]} -eq 0 ]
