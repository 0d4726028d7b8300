# What `./glovebox doctor` looks at: this host, measured against SECURITY.md. Sourced by ../glovebox, whose functions it uses.
# Each finding is a line: OK, WARN (a wall fewer) or FAIL (Glovebox cannot run, or not safely), what it means, and what to do.

rate() { # <what is well> <WARN|FAIL> <what it means otherwise, and what to do> <test...>
  local well=$1 verdict=$2 otherwise=$3; shift 3
  if "$@"; then printf 'OK    %s\n' "$well"; return; fi
  printf '%-4s  %s\n' "$verdict" "$otherwise"
  if [[ $verdict == FAIL ]]; then FAILED=1; fi
}

contains() { [[ $1 == *"$2"* ]]; }
runsc_date() { runsc --version 2>/dev/null | grep -oE '20[0-9]{6}' | head -n 1; }
loop_mounts_work() { [[ -e /dev/loop-control ]] && grep -qw ext4 /proc/filesystems; }
runc_is_closed() { at_least "$1" 1.3.3 || { at_least "$1" 1.2.8 && ! at_least "$1" 1.3; }; } # <version>
port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

check_engine() {
  local engine compose runc options limits
  engine=$(docker version --format '{{.Server.Version}}')
  compose=$(if plugins_answer; then docker compose version --short; fi)
  runc=$(docker version --format '{{range .Server.Components}}{{if eq .Name "runc"}}{{.Version}}{{end}}{{end}}')
  options=$(engine_info .SecurityOptions)
  limits=$(engine_info '.MemoryLimit}} {{.CPUCfsQuota}} {{.PidsLimit')
  rate "Docker Engine $engine" FAIL "Docker Engine $engine has no volume subpaths, which keep sandboxes' files apart: upgrade it to 26 or newer" at_least "$engine" 26
  rate "Compose $compose" FAIL "Compose ${compose:-and Buildx are missing}: Compose 2.24 or newer and Buildx are needed; './glovebox up' installs them where they are missing" at_least "${compose#v}" 2.24
  rate "runc $runc" WARN "runc $runc is older than 1.2.8 or 1.3.3, which closed ways out of a container: upgrade it, or use gVisor (a distribution may have fixed it under the old number)" runc_is_closed "${runc%%[+~-]*}"
  rate "Docker Engine $engine has no known hole that Glovebox could meet" WARN "Docker Engine $engine is older than 29.4.3: its own line gets no fixes from upstream any more, among them those of 'docker cp', authorization plugins (Glovebox uses neither) and the default filter (Glovebox has its own). A distribution may have fixed it under the old number; else upgrade it" at_least "${engine%%[+~-]*}" 29.4.3
  rate "gVisor (runsc) is set up" WARN "gVisor (runsc) is not set up, so every sandbox uses the host's kernel directly: './glovebox up --gvisor' offers it" engine_has_runsc
  if have runsc; then
    rate "gVisor of $(runsc_date)" WARN "gVisor of $(runsc_date) is older than 20250319, which closed CVE-2025-2713 (file permissions): upgrade runsc" at_least "$(runsc_date)" 20250319
  fi
  rate "kernel $(uname -r)" WARN "kernel $(uname -r) is older than 5.15: with runc, its holes are holes in every sandbox; upgrade it, or use gVisor" at_least "$(uname -r | grep -oE '^[0-9]+\.[0-9]+')" 5.15
  rate "cgroup v2" WARN "cgroup v1: the limits hold, but are coarser; boot the host with cgroup v2" test "$(engine_info .CgroupVersion)" = 2
  rate "memory, CPU and process limits" FAIL "the kernel cannot limit memory, CPU or processes ($limits): enable these cgroup controllers" test "$limits" = "true true true"
  rate "seccomp" FAIL "seccomp is off, so a sandbox may make any system call: enable it in the kernel and the engine" contains "${options/seccomp,profile=unconfined/}" name=seccomp
  rate "$(nproc) CPUs" WARN "$(nproc) CPUs: a session whose profile gives it all of them (the default is 2) can slow everybody else down: set its 'cpus' to one less" test "$(nproc)" -gt 2
  rate "loop devices and ext4, for hard disk limits" WARN "there is no loop device or no ext4: profiles with a hard disk limit cannot be used; load the modules loop and ext4" loop_mounts_work
  rate "AppArmor" WARN "AppArmor is off, one wall fewer: enable it where the host has it" contains "$options" name=apparmor
}

check_installation() {
  local image running said port built=1 keys=()
  for image in glovebox-sandbox glovebox-orchestrator glovebox-ui; do
    rate "image $image" WARN "image $image is not built yet: './glovebox up' does" image_exists "$image"
  done
  running=$(compose ps --services --status running 2>/dev/null || true)
  for port in PORT UI_PORT; do
    if [[ $port == PORT && $running == *orchestrator* || $port == UI_PORT && $running == *ui* ]]; then continue; fi
    rate "port ${!port} is free" FAIL "port ${!port} is in use by something else: stop that or set GLOVEBOX_$port" port_is_free "${!port}"
  done
  image_exists glovebox-orchestrator || return 0
  if [[ -f .env ]]; then keys=(--env-file .env); fi # the config may name variables of it
  # By the containers' user and without capabilities, so that a file which the spawner could not read is noticed.
  said=$(docker run --rm --network none --cap-drop ALL -v "$CONFIG:/etc/glovebox/config.json:ro" -e GLOVEBOX_CONFIG=/etc/glovebox/config.json \
    "${keys[@]}" -e GLOVEBOX_TOKEN -e OPENAI_API_KEY glovebox-orchestrator python -m orchestrator check-config 2>&1) || built=0
  rate "configuration $CONFIG" FAIL "$CONFIG does not load (it must be readable for all): ${said##*$'\n'}" test "$built" = 1
}

check_room() {
  local disk memory
  disk=$(engine_info .DockerRootDir 2>/dev/null || true)
  [[ -d $disk ]] || disk=/
  disk=$(df --output=avail -BG "$disk" | tail -n 1 | tr -dc 0-9)
  memory=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
  rate "$disk GB free on disk" "$( ((disk < 6)) && echo FAIL || echo WARN)" "$disk GB free on disk: the images take 5, workspaces come on top; 'docker system prune' frees some" test "$disk" -ge 20
  rate "$memory MB of memory free" "$( ((memory < 1000)) && echo FAIL || echo WARN)" "$memory MB of memory free: few sandboxes fit; free some or lower the warm pool and the memory limits in the configuration" test "$memory" -ge 4000
}

examine_host() {
  FAILED=0
  rate "the Docker Engine answers" FAIL "no Docker Engine answers: './glovebox up' installs or starts it (or you may not use it: sudo, or the group 'docker')" engine_answers
  if ! ((FAILED)); then check_engine; check_installation; fi
  check_room
  return "$FAILED"
}
