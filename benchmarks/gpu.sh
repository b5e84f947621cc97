#!/usr/bin/env bash
# What is measured on a GPU, in the folder that holds data/: `bash benchmarks/gpu.sh timing|tuned|study|recipes|transfer OUT`.
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
    for objective in autoregressive prefix; do
        ssna train data/Scientific --cache caches/Scientific-minilm --recipe paper --set training.objective=$objective \
            --set training.epochs=8 -o "runs/paper-$objective"
        cp "runs/paper-$objective/record.json" "$out/paper-$objective.json"
    done
    ssna train data/Scientific --cache caches/Scientific-minilm-mean --recipe best -o runs/best
    cp runs/best/record.json "$out/best.json"
    python3 "$here/train.py" data/Scientific caches/Scientific-minilm --against lora --against adalora --rounds 3 \
        -o "$out/train-384.json"
    python3 "$here/train.py" data/Scientific caches/Scientific-minilm --width 768 --depth 12 --against lora --rounds 3 \
        -o "$out/train-768.json"
}

# By as many processes as leave a core free, which share the tasks of a grid: a step is short, the card waits for them.
share_grid() {
    for _ in $(seq 2 $(($(nproc) - 1))); do
        OMP_NUM_THREADS=1 nice -n 5 timeout "${seconds:-3000}" python3 -m ssna grid "$@" --quiet >>"$out/grid.log" 2>&1 &
        sleep 0.3
    done
    wait
}

pack() { # what benchmarks/keep.py reads
    find runs \( -name record.json -o -name settings.toml -o -name ranks.parquet \) -print0 | tar czf "$out/records.tgz" --null -T -
}

# The recipes that are trained, three seeds, on four data sets.
recipes() {
    caches Scientific Pantry Instruments Toys14
    share_grid "$here/../grids/minilm/best.toml" -o runs/best --only best --only fast --only text --only ids
    pack
}

# Each data set held out in turn.
transfer() {
    caches Scientific Pantry Instruments Toys14
    pairs=()
    for name in Scientific Pantry Instruments Toys14; do pairs+=("data/$name=caches/$name-minilm-mean"); done
    for name in Scientific Pantry Instruments Toys14; do
        OMP_NUM_THREADS=3 python3 "$here/transfer.py" "${pairs[@]}" --hold-out "$name" -o runs/transfer >"$out/$name.log" 2>&1 &
    done
    wait
    pack
}

# Methods that tune the language model, side by side, for a stated number of epochs.
tuned() {
    caches Scientific
    for each in lora:3e-4 lora:1e-3 adalora:1e-3 full:3e-4; do
        method=${each%:*} rate=${each#*:}
        OMP_NUM_THREADS=2 ssna train data/Scientific --cache caches/Scientific-minilm --recipe paper --method "$method" \
            --set training.objective=autoregressive --set "training.learning_rate=$rate" --set "training.epochs=${epochs:-20}" \
            -o "runs/tuned/$method-$rate" >"$out/$method-$rate.log" 2>&1 &
    done
    wait
    pack
}

# The study of the recipe by as many processes as leave a core free.
study() {
    caches Scientific Pantry
    share_grid "$here/../grids/study/screen.toml" -o runs/screen
    pack
}

"$1"
