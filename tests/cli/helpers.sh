# What the commands of transcripts may use besides the system's tools.

make_data() { "$PYTHON" "$HERE/make-data.py" "$@"; }

# Run a command and send it a signal once a file exists: interrupt SIGNAL FILE COMMAND...
interrupt() { "$PYTHON" "$HERE/interrupt.py" "$@"; }

# Search with five times the budget that a search asks for, kept in the file `budget`. Where the machine has become
# slower since and that is too short, ask again: auto_within ARGUMENT...
auto_within() {
    while :; do
        [ -s budget ] || coppice auto lenet-5 --data idx --budget 0.001s --threads 1 -o short -q 2>&1 |
            sed 's/.*take about \([0-9.]*\) s;.*/\1/' | awk '{print ($1 < 0.5 ? 0.5 : $1) * 5 "s"}' >budget
        coppice auto "$@" --data idx --budget "$(cat budget)" --augment none --threads 1 2>.budget.err
        code=$?
        grep -q 'is too short for one trial' .budget.err || break
        rm budget
    done
    cat .budget.err >&2
    rm .budget.err
    return $code
}

# Hide what differs between machines: the digits of times, rates, accuracies, losses and sparsities, and the lines of
# progress that a slow machine prints.
mask() {
    "$@" >.out 2>.err
    code=$?
    sed -E -e '/^(train|tune) [0-9]+\/[0-9]+, .* left$/d' -e 's/[0-9]+:[0-9][0-9](:[0-9][0-9])?/#/g' -e 's/\b[0-9.]+ s\b/# s/g' -e 's/[0-9,]+ images\/s/# images\/s/g' \
        -e 's/[0-9]\.[0-9]{4}|[0-9.]+e-[0-9]+/#/g' \
        -e 's/\b(sparsity|dense|conv|net|accuracy|validation,|before,|removal,|score  ) [0-9.]+ %/\1 #/g' \
        -e '/^ +[0-9]+ /s/ +[0-9.]+ %/  # %/g' .err .out
    rm -f .out .err
    return $code
}

# Hide the zeros and sparsity columns of `coppice inspect`: training leaves some biases at 0.
hide_zeros() { sed -E 's/ +[0-9,]+ +[0-9.]+ %/  #/'; }
