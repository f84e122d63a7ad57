#!/usr/bin/env bash
# Fetch bvlc-googlenet: the weights (about 50 MB) and the deploy prototxt.
#
# BVLC_URL and CAFFE_URL name other servers that have the same files.
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ../fetching.sh

weights="${BVLC_URL:-http://dl.caffe.berkeleyvision.org}"
caffe="${CAFFE_URL:-https://raw.githubusercontent.com/BVLC/caffe/master}"

fetch bvlc-googlenet.caffemodel "$weights/bvlc_googlenet.caffemodel"
fetch bvlc-googlenet-deploy.prototxt "$caffe/models/bvlc_googlenet/deploy.prototxt"
prepare_deploy bvlc-googlenet-deploy.prototxt
finish
