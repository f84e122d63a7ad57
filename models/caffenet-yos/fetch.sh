#!/usr/bin/env bash
# Fetch caffenet-yos: weights and mean (about 240 MB), and the images of its units.
#
#   models/caffenet-yos/fetch.sh       all but the images of fc6 and fc7
#   models/caffenet-yos/fetch.sh all   those too (4.5 GB more)
#
# CAFFENET_YOS_URL names another server that has the same files.
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ../fetching.sh

url="${CAFFENET_YOS_URL:-http://c.yosinski.com}"

unit_images() { # end of the archives' names, a layer in them
  fetch_archive "caffenet-yos_regularized_opt$1.tar.gz" \
    "$url/caffenet-yos_regularized_opt$1.tar.gz" unit_jpg_vis \
    "regularized_opt/$2/$2_0000_montage.jpg"
  fetch_archive "caffenet-yos_max_im$1.tar.gz" \
    "$url/caffenet-yos_max_im$1.tar.gz" unit_jpg_vis "max_im/$2/$2_0000.jpg"
  fetch_archive "caffenet-yos_max_deconv$1.tar.gz" \
    "$url/caffenet-yos_max_deconv$1.tar.gz" unit_jpg_vis "max_deconv/$2/$2_0000.jpg"
}

fetch caffenet-yos-weights "$url/caffenet-yos-weights"
fetch ilsvrc_2012_mean.npy "$url/ilsvrc_2012_mean.npy"
unit_images "" conv1
if [ "${1:-}" = all ]; then
  unit_images _fc6_fc7 fc6
else
  echo "'$0 all' fetches the images of fc6 and fc7 too (4.5 GB more)."
fi
finish
