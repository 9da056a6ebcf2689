#!/usr/bin/env bash
# Takes the state from git before a run, and brings it back after it.
#
#   begin BRANCH           before anything is sent
#   keep BRANCH            after it, whatever became of the run; twice is once
#   run BRANCH COMMAND...  both, around a command; the exit is that of the command
#
# A runner's disk goes with the runner. What a run creates is in no list anywhere:
# the state is the only map of it, and what is missing there would be created again.
# So a run first puts a branch, provisioner-unfinished, to the repository, and takes
# it away together with the push that brings the state. Where that branch stands, an
# earlier run has not brought its state back, and no other run begins until a person
# has looked.
#
# The state is sealed: it is safe in a repository, in an artifact and in a log. Where the
# settings do not keep it in state/, name its folder in PROVISIONER_STATE_FOLDER, and in
# what the jobs save. A run does not begin where they keep it elsewhere, or where git
# ignores it. What one step alone is told, as its variable or as --state, is not seen.
set -euo pipefail

folder=${PROVISIONER_STATE_FOLDER:-state}
folder=${folder%/}
# Full names everywhere: a tag that is named like a branch is found first otherwise.
marker=refs/heads/provisioner-unfinished
begun=refs/provisioner/begun # known here alone: what this run has put to the repository
place=${CI_JOB_URL:-${GITHUB_SERVER_URL:-}/${GITHUB_REPOSITORY:-}/actions/runs/${GITHUB_RUN_ID:-0}/attempts/${GITHUB_RUN_ATTEMPT:-1}}
export GIT_AUTHOR_NAME=provisioner GIT_AUTHOR_EMAIL=provisioner@localhost
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL

fail() {
  printf '%s%s\n' "${GITHUB_ACTIONS:+::error::}" "$1" >&2
  exit 1
}

# The variable PROVISIONER_PUSH_TOKEN holds what may push. It goes to git alone, and into no
# argument. GitLab gives a job no right to push: there, it is a project access token.
remote=origin
if [ -n "${GITLAB_CI:-}" ]; then
  remote=$CI_PROJECT_URL.git
  [ -n "${PROVISIONER_PUSH_TOKEN:-}" ] || fail 'There is no PROVISIONER_PUSH_TOKEN: the state could not be brought back.'
fi
if [ -n "${PROVISIONER_PUSH_TOKEN:-}" ]; then
  export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=credential.helper GIT_CONFIG_VALUE_0='' GIT_CONFIG_KEY_1=credential.helper
  # shellcheck disable=SC2016  # git's own shell reads the variable
  export GIT_CONFIG_VALUE_1='!echo username=x-access-token; echo "password=$PROVISIONER_PUSH_TOKEN"; true'
fi

push() {
  # What a run brings back is no reason for another run.
  git push --quiet ${GITLAB_CI:+-o ci.skip} "$@"
}

# What is not brought back would be created again: refuses any other place of a state.
require_place() {
  local config=${PROVISIONER_CONFIG:-provisioner.yaml} empty said parent state ignored
  # Only the settings matter: a state that cannot be read stops the run, and is not in an empty folder.
  empty=$(mktemp -d)
  if [ -e "$config" ] && [[ $config != /* && /$config/ != */../* ]]; then
    mkdir -p "$empty/$(dirname "$config")"
    cp "$config" "$empty/$config"
  fi
  said=$(cd "$empty" && provisioner status --format json | python3 -c 'import json, sys
for each in json.load(sys.stdin).get("states", ()): print(each["parent"], each["address"].replace("\n", "?"), sep="/")') \
    || fail 'The settings do not tell where the state is. Nothing was sent.'
  rm -r "$empty"
  while IFS=/ read -r parent state; do
    [[ $folder != /* && $state == "$folder"/*.json && ${state#"$folder/"} != */* ]] || fail "The settings do not keep this\
 state in $folder/: $parent: there is no state at $state that could be brought back. Set \`state\` in provisioner.yaml, and\
 PROVISIONER_STATE if it is set, to $folder/{parent}.json, or name the folder of the state in PROVISIONER_STATE_FOLDER:\
 relative, and in the repository. Nothing was sent."
    ignored=0
    git check-ignore --quiet -- "$state" || ignored=$?
    case $ignored in
      1) ;;
      0) fail "git ignores $state, so that it could not be brought back: see \`git check-ignore --verbose $state\`. Correct\
 .gitignore. The state is sealed, and the only map of what exists. Nothing was sent." ;;
      *) fail "git takes no $state, so that it could not be brought back. Let $folder be a folder of the repository itself. Nothing\
 was sent." ;;
    esac
    require_latest "$state"
  done <<< "$said"
}

# The branch remembers what no runner does: an older state, put back by a revert or by a merge, would
# have accounts created that exist.
require_latest() {
  local latest now=0
  latest=$(git log --full-history -m -p --format= HEAD -- "$1" | serials | sort -n | tail -n 1)
  [ ! -e "$1" ] || now=$(sed 's/^/ /' "$1" | serials | tail -n 1)
  [ "${now:-0}" -lt "${latest:-0}" ] || return 0
  rm -f -- "$1" # for a step that goes on regardless: without a state, nothing is created unattended
  fail "$1 has the serial ${now:-0}, and has had $latest on this branch: what was created since would be created again.\
 Restore the latest, which \`git log -- $1\` finds. If this one is right, set its serial to $((latest + 1)), commit it, and\
 adopt the accounts made since. Nothing was sent."
}

# The serial that a state has on its second level, in lines that begin with the mark of a diff.
serials() {
  sed -n 's/^[ +-]  "serial": \([0-9]\{1,\}\),\{0,1\}$/\1/p'
}

begin() {
  local deep=()
  [ "$(git rev-parse --is-shallow-repository)" = false ] || deep=(--unshallow)
  git fetch --quiet "${deep[@]}" "$remote" "$branch"
  git checkout --quiet --force --detach FETCH_HEAD
  require_place
  local mine
  mine=$(git commit-tree -p HEAD -m "Begun by $place [skip ci]" 'HEAD^{tree}')
  git update-ref "$begun" "$mine"
  # Empty, the expected value lets the push succeed only where no such branch stands.
  if ! push --force-with-lease="$marker:" "$remote" "$mine:$marker"; then
    git update-ref -d "$begun"
    git fetch --quiet "$remote" "$marker" \
      || fail 'Nothing could be pushed, so that the state could not be brought back. Nothing was sent.'
    git log -1 --format='%s, %ci' FETCH_HEAD >&2
    fail "The branch ${marker#refs/heads/} stands: that run is still at it, or has not brought its state back. Nothing was sent.\
 Commit the state from its artifact; if there is none, look in Octopush's dashboard for what it created, and adopt it.\
 Then delete the branch, and run this again."
  fi
}

keep() {
  local mine theirs lock refused=0
  # A machine that is used again may still have what another run began.
  if ! mine=$(git rev-parse --quiet --verify "$begun") || [[ $(git log -1 --format=%s "$mine") != "Begun by $place "* ]]; then
    echo 'Nothing was begun, so that there is nothing to keep.'
    exit "$code"
  fi
  if [ -d "$folder" ]; then
    # Where the job was cancelled, the command may still be finishing its last request.
    for lock in "$folder"/*.lock; do
      [ ! -e "$lock" ] || flock --wait 60 "$lock" true || fail "$lock is held: the run has not ended."
    done
    # A rescue that was put back is gone.
    [ -z "$(git ls-files -- "$folder")" ] || git add --update -- "$folder"
    # Whatever is ignored: no state must go with the machine, nor what it was made to forget.
    find "$folder" -maxdepth 1 -type f \( -name '*.json' -o -name '*.json.forgotten' \) -exec git add --force -- {} +
    # Nor an outcome that it did not take. The space of one is reserved, and mostly stays empty.
    find "$folder" -maxdepth 1 -type f -name '*.json.rescue' -exec grep --quiet --text '{' {} \; -exec git add --force -- {} +
  fi
  git diff --cached --quiet || git commit --quiet --message "Keep the state of $place [skip ci]"
  for pause in 0 1 2 4 8 16; do
    sleep "$pause"
    theirs=$(git ls-remote "$remote" "$marker") || continue
    # All or nothing: the branch goes only where the state has come.
    if [ "${theirs%%[[:space:]]*}" = "$mine" ]; then
      push --atomic --force-with-lease="$marker:$mine" "$remote" "HEAD:$branch" ":$marker" && kept
    else
      push "$remote" "HEAD:$branch" && kept
    fi
    git fetch --quiet "$remote" "$branch" || continue
    if git merge-base --is-ancestor FETCH_HEAD HEAD; then
      # Nobody was faster: it is refused for another reason, such as a protected branch.
      refused=$((refused + 1))
      [ "$refused" -lt 3 ] || break
      continue
    fi
    # Lines of two states may fit together where their accounts do not: nothing merges them but a person.
    git diff --quiet FETCH_HEAD...HEAD -- "$folder" || git diff --quiet HEAD...FETCH_HEAD -- "$folder" || break
    git rebase --quiet FETCH_HEAD || break
  done
  fail "The state did not reach the branch ${branch#refs/heads/}. Take it from this job's artifact and commit it there; then delete\
 the branch ${marker#refs/heads/}. Until then no other run begins."
}

kept() {
  git update-ref -d "$begun"
  exit "$code"
}

run() {
  local command heard=1
  begin
  "$@" &
  command=$!
  # The shell would end at a signal, and leave the command alone.
  trap 'heard=1; kill -TERM "$command" 2>/dev/null || true' TERM INT HUP
  while [ -n "$heard" ]; do
    heard='' code=0
    wait "$command" || code=$?
  done
  keep
}

[ $# -ge 2 ] || fail 'Say begin, keep or run, and the branch that holds the state.'
verb=$1 branch=refs/heads/${2#refs/heads/} code=0
shift 2
case $verb in
  begin | keep | run) "$verb" "$@" ;;
  *) fail "There is no $verb: say begin, keep or run." ;;
esac
