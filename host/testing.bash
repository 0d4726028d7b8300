# shellcheck shell=bash
# Sourced by ../glovebox for `test`: prepares what the suites need, and runs them.
# shellcheck disable=SC2034
MOST_UNSTEADY=5 TEST_CACHE=.glovebox/pytest TESTS_FOUND=0

prepare_postgres() { # Debian's own server, for the store's tests; none is started here, nor at the next boot
  if compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then return; fi
  if have apt-get && [[ ! -e /etc/postgresql-common ]]; then
    apt_install postgresql-common
    printf 'create_main_cluster = false\n' | as_root tee -a /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  apt_install postgresql
}

failed_tests() { # prints the ids of the tests that failed when they were run last
  .venv/bin/python - "$TEST_CACHE/v/cache/lastfailed" <<'PYTHON'
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
for name in json.loads(path.read_text()) if path.exists() else ():
    print(name)
PYTHON
}

run_pytest() { # <argument...>: what pytest says, without a cache of earlier runs
  say pytest "$@"
  local status=0
  .venv/bin/pytest -o "cache_dir=$TEST_CACHE" "$@" || status=$?
  ((status == 5)) || TESTS_FOUND=1 # 5: there was no such test here, but there may be in the next folder
  return "$status"
}

# Runs suites; where few tests failed, those run once more by themselves. Who passes then is unsteady, which is said, and
# who fails twice has failed. With arguments it is one plain run: whoever gives them looks at something particular.
run_suites() { # <processes> <folder...> [-- <argument of pytest...>]
  local processes=$1 folders=() status=0 failed again; shift
  while (($#)) && [[ $1 != -- ]]; do folders+=("$1"); shift; done
  if (($# > 1)); then run_pytest "${folders[@]}" "${@:2}"; return; fi
  local options=(--cache-clear --durations=20)
  if ((processes > 1)); then options+=(-n "$processes"); fi
  run_pytest "${folders[@]}" "${options[@]}" || status=$?
  ((status == 1)) || return "$status"
  mapfile -t failed < <(failed_tests)
  ((${#failed[@]} > 0 && ${#failed[@]} <= MOST_UNSTEADY)) || return "$status"
  say "Once more: the ${#failed[@]} that failed"
  status=0
  run_pytest "${folders[@]}" --last-failed --last-failed-no-failures=none || status=$?
  mapfile -t again < <(failed_tests)
  for item in "${failed[@]}"; do
    if [[ " ${again[*]} " != *" $item "* ]]; then say "unsteady: $item"; else say "failed twice: $item"; fi
  done
  return "$status"
}
