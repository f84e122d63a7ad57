# Functions for the models' fetch.sh: downloads that resume, and a summary of what failed.
# Sourced, with the working directory in the model's folder. Works with bash 3.2 (macOS).
#
#   fetch FILE URL            download URL to FILE, unless FILE is there
#   fetch_archive FILE URL DIR EXAMPLE
#                             download and unpack into DIR, unless DIR/EXAMPLE is there
#   prepare_deploy FILE       let the prototxt FILE compute the input's diff, for one image
#   finish                    say what failed and how to go on; exit 1 then, else 0
#
# A download grows in FILE.part and gets its name when it is whole, so that FILE is never
# half a file and the next run goes on where this one stopped.

set -u

failed=()

_fail() { # file, url, reason
  echo "  failed: $3" >&2
  failed[${#failed[@]}]="$1: $3; its address is $2"
}

# Download with curl or wget, going on from PART. Status 2: the server cannot go on from
# there; 1: failed, and `reason` says why.
_download() { # url, part
  local code status
  if command -v curl >/dev/null; then
    code=$(curl --location --fail --show-error --progress-bar \
      --connect-timeout 30 --speed-limit 1 --speed-time 60 --continue-at - \
      --output "$2" --write-out '%{http_code}' "$1")
    status=$?
    case "$status:$code" in
      0:*) return 0 ;;
      # The server has nothing beyond the part, or cannot go on in the middle: anew.
      *:416 | 33:* | 36:*) return 2 ;;
      22:*) reason="the server answered $code" ;;
      6:* | 7:*) reason="the server cannot be reached" ;;
      23:*) reason="it cannot be written here: is the disk full?" ;;
      28:*) reason="the connection stalled" ;;
      *) reason="the connection broke (curl's status $status)" ;;
    esac
  elif command -v wget >/dev/null; then
    wget --continue --tries=1 --timeout=60 --output-document="$2" "$1"
    status=$?
    case "$status" in
      0) return 0 ;;
      3) reason="it cannot be written here: is the disk full?" ;;
      8) reason="the server answered with an error" ;;
      *) reason="the server cannot be reached, or the connection broke" ;;
    esac
  else
    reason="neither curl nor wget is installed: install one of them"
  fi
  return 1
}

_size() { if [ -e "$1" ]; then wc -c <"$1"; else echo 0; fi; }

# Download until it is whole, or does not grow any more.
_download_whole() { # url, part
  local before anew=no
  while :; do
    before=$(_size "$2")
    _download "$1" "$2"
    case $? in
      0) return 0 ;;
      2)
        [ "$anew" = no ] || return 1
        anew=yes
        echo "  starting anew" >&2
        rm -f "$2"
        ;;
      *)
        [ "$(_size "$2")" -gt "$before" ] || return 1
        echo "  $reason: going on" >&2
        ;;
    esac
  done
}

fetch() { # file, url
  local file="$1" url="$2" reason="the server cannot go on with it"
  if [ -s "$file" ]; then
    echo "$file: is there (remove it to fetch it again)"
    return 0
  fi
  if [ -s "$file.part" ]; then echo "$file: going on"; else echo "$file: fetching $url"; fi
  if ! _download_whole "$url" "$file.part"; then
    _fail "$file" "$url" "$reason"
    return 1
  fi
  # A login page of a network, or an error page that the server calls a success.
  if head -c 512 "$file.part" | LC_ALL=C tr 'A-Z' 'a-z' | grep -q '<html\|<!doctype html'; then
    rm -f "$file.part"
    _fail "$file" "$url" "a web page came instead of the file"
    return 1
  fi
  mv "$file.part" "$file"
}

fetch_archive() { # file, url, directory, example
  # While the archive is here, it has not been unpacked to its end.
  if [ -e "$3/$4" ] && [ ! -e "$1" ] && [ ! -e "$1.part" ]; then
    echo "$1: is unpacked ($3/$4 is there)"
    return 0
  fi
  fetch "$1" "$2" || return 1
  if ! gzip -t "$1" 2>/dev/null; then
    rm -f "$1"
    _fail "$1" "$2" "the archive came damaged and has been removed"
    return 1
  fi
  echo "$1: unpacking into $3"
  mkdir -p "$3"
  if ! tar -C "$3" -xzf "$1"; then
    _fail "$1" "$2" "it cannot be unpacked here: is the disk full?"
    return 1
  fi
  if [ ! -e "$3/$4" ]; then
    _fail "$1" "$2" "the archive has no $4"
    return 1
  fi
  rm -f "$1"
}

# Published deploy files leave out force_backward, and some take ten images at once.
prepare_deploy() { # prototxt
  [ -e "$1" ] || return 1
  grep -q '^ *force_backward' "$1" && return 0
  { echo 'force_backward: true' && sed 's/dim: 10$/dim: 1/; s/dim: 10 /dim: 1 /' "$1"; } \
    >"$1.part" && mv "$1.part" "$1"
}

finish() {
  local one
  if [ "${#failed[@]}" = 0 ]; then
    echo "All files are in $PWD."
    exit 0
  fi
  {
    echo
    echo "Not fetched:"
    for one in "${failed[@]}"; do echo "  $one"; done
    echo "Run $0 again: it keeps what is there and goes on where a download stopped. Or put" \
      "the files into $PWD by hand."
  } >&2
  exit 1
}
