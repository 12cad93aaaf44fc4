# What the transcripts' commands may use besides the system's tools.

make_data() { "$PYTHON" "$HERE/make-data.py" "$@"; }

# Run a command, send it a signal once a file is there, wait: interrupt SIGNAL FILE COMMAND...
interrupt() { "$PYTHON" "$HERE/interrupt.py" "$@"; }

# Hide what differs from machine to machine: digits of times, rates, accuracies, losses, sparsities, and the lines of
# progress that a slow one prints.
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

# The zeros and sparsity columns of `coppice inspect`: training leaves some biases at 0.
hide_zeros() { sed -E 's/ +[0-9,]+ +[0-9.]+ %/  #/'; }
