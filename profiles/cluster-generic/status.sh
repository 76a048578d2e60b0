#!/bin/sh
# status.sh SYSTEM NUMBER: prints `running`, `success` or `failed`. A question that gets no answer is asked again later.
set -eu
system=$1 job=$2

case $system in
lsf)
    state=$(bjobs -noheader -o stat "$job" 2>/dev/null) || state=""
    case $state in
    DONE) echo success ;;
    EXIT) echo failed ;;
    *) echo running ;;
    esac
    ;;
pbs)
    # -x shows jobs that have ended; a server without a history of jobs (job_history_enable) cannot be asked.
    qstat -x -f "$job" 2>/dev/null | awk '
        $1 == "job_state" { state = $3 }
        $1 == "Exit_status" { status = $3 }
        END { print state != "F" ? "running" : status == "0" ? "success" : "failed" }'
    ;;
sge)
    # A job that qstat no longer knows has ended; qacct learns of it some seconds later.
    if qstat -j "$job" >/dev/null 2>&1; then
        echo running
    else
        qacct -j "$job" 2>/dev/null | awk '
            $1 == "exit_status" || $1 == "failed" { known = 1; if ($2 != "0") bad = 1 }
            END { print !known ? "running" : bad ? "failed" : "success" }'
    fi
    ;;
*)
    echo "status.sh: unknown system '$system'; give lsf, pbs or sge." >&2
    exit 1
    ;;
esac
