#!/usr/bin/env bash
# What is measured on a GPU, in the folder that holds data/: `bash benchmarks/gpu.sh timing|study OUT`.
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=$2
mkdir -p "$out"
export HF_HUB_OFFLINE=1
ssna() { python3 -m ssna "$@"; }

caches() {
    for name in "$@"; do
        ssna encode "data/$name" -o "caches/$name-minilm" --model minilm --pooling cls
        ssna encode "data/$name" -o "caches/$name-minilm-mean" --model minilm --pooling mean
    done
}

timing() {
    caches Scientific
    for formulation in causal prefixes; do
        ssna train data/Scientific --cache caches/Scientific-minilm --recipe paper --set batches.formulation=$formulation \
            --set training.epochs=5 -o "runs/paper-$formulation" --profile
        cp "runs/paper-$formulation/record.json" "$out/paper-$formulation.json"
    done
    ssna train data/Scientific --cache caches/Scientific-minilm-mean --recipe best -o runs/best
    cp runs/best/record.json "$out/best.json"
    python3 "$here/train.py" data/Scientific caches/Scientific-minilm --against lora --against adalora --rounds 3 \
        -o "$out/train-384-gpu.json"
    python3 "$here/train.py" data/Scientific caches/Scientific-minilm --width 768 --depth 12 --against lora --rounds 3 \
        -o "$out/train-768-gpu.json"
    python3 "$here/roofline.py" data/Scientific caches/Scientific-minilm --rounds 3 -o "$out/roofline-gpu.json"
}

# LoRA to twenty epochs, and beside it the study of the recipe by as many processes as leave a core free.
study() {
    caches Scientific Pantry
    OMP_NUM_THREADS=2 ssna train data/Scientific --cache caches/Scientific-minilm --recipe paper --method lora \
        --set batches.formulation=causal --set training.epochs=20 -o runs/lora >"$out/lora.log" 2>&1 &
    for _ in $(seq 2 $(($(nproc) - 1))); do
        OMP_NUM_THREADS=1 nice -n 5 timeout "${seconds:-3000}" python3 -m ssna grid "$here/../experiments/study/screen.toml" \
            -o runs/screen --quiet >>"$out/study.log" 2>&1 &
        sleep 0.3
    done
    wait
    find runs -name record.json -o -name settings.toml | tar czf "$out/records.tgz" -T -
}

"$1"
