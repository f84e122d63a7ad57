#!/usr/bin/env bash
# Fetch SqueezeNet v1.0: the weights (5 MB) and the deploy prototxt.
#
# SQUEEZENET_URL names another server that has the same files.
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ../fetching.sh

url="${SQUEEZENET_URL:-https://raw.githubusercontent.com/forresti/SqueezeNet/master/SqueezeNet_v1.0}"

fetch squeezenet_v1.0.caffemodel "$url/squeezenet_v1.0.caffemodel"
fetch deploy.prototxt "$url/deploy.prototxt"
prepare_deploy deploy.prototxt
finish
