#!/bin/sh
# Time training steps of ResNet-20 on 3 x 32 x 32, dense and with a quarter, half and three quarters of its filters removed:
#     bench/shrunk_resnet.sh [COPPICE] [BATCH]
# One thread, both precisions, the median of 20 steps each, dense and shrunk in turn.
set -eu
coppice=${1:-build/release/coppice} batch=${2:-64}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
net="resnet-20 --shape 3x32x32 --classes 10"
for share in 0.25 0.5 0.75; do
    "$coppice" prune $net --criterion l1-filter --sparsity $share -o "$work/p.safetensors" -q >/dev/null
    "$coppice" shrink "$work/p.safetensors" -o "$work/$share.safetensors" -q >/dev/null
done
rate() {
    "$coppice" bench $1 --training --batch "$batch" --precision "$2" --threads 1 --runs 20 --json |
        sed -n 's/.*"images_per_second": *\([0-9.]*\).*/\1/p'
}
echo "| filters removed | precision | dense, images/s | shrunk, images/s | ratio |"
echo "|---:|---|---:|---:|---:|"
for precision in f32 bf16; do
    for share in 0.25 0.5 0.75; do
        dense=$(rate "$net" $precision) shrunk=$(rate "$work/$share.safetensors" $precision)
        awk -v s=$share -v p=$precision -v d="$dense" -v t="$shrunk" \
            'BEGIN { printf "| %g %% | %s | %.0f | %.0f | %.2f |\n", 100 * s, p, d, t, t / d }'
    done
done
