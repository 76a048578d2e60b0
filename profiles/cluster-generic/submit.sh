#!/bin/sh
# submit.sh SYSTEM NAME CPUS MEGABYTES MINUTES GPUS JOBSCRIPT: submits a job and prints its number alone.
# Queues, accounts and whatever else your site wants go into the paragraph of your system.
set -eu
system=$1 name=$2 cpus=$3 memory=$4 minutes=$5 gpus=$6 script=$7
logs=logs/cluster
mkdir -p "$logs"
clock=$(printf '%02d:%02d:00' $((minutes / 60)) $((minutes % 60)))

case $system in
lsf)
    # -wa, -wt: two minutes before the end the job gets SIGUSR1; -r: it runs again when its host fails.
    [ "$gpus" -gt 0 ] && set -- -gpu "num=$gpus" || set --
    bsub -r -wa USR1 -wt 2 -J "$name" -n "$cpus" -R "span[hosts=1]" -M "${memory}MB" -R "rusage[mem=${memory}MB]" \
        -W "$minutes" "$@" -o "$logs/$name.%J.log" <"$script" | sed -n 's/^Job <\([0-9]*\)>.*/\1/p'
    ;;
pbs)
    # At the end of its time, and on qdel, a job gets SIGTERM, then SIGKILL.
    [ "$gpus" -gt 0 ] && chunk="1:ncpus=$cpus:mem=${memory}mb:ngpus=$gpus" || chunk="1:ncpus=$cpus:mem=${memory}mb"
    qsub -r y -V -N "$name" -l "select=$chunk" -l "walltime=$clock" -j oe -o "$logs/" "$script"
    ;;
sge)
    # Names of the parallel environment (smp) and of GPUs are your site's. Memory is given by slot.
    [ "$gpus" -gt 0 ] && set -- -l "gpu=$gpus" || set --
    qsub -terse -r y -cwd -V -S /bin/bash -N "$name" -pe smp "$cpus" -l "h_rt=$clock" \
        -l "h_vmem=$(((memory + cpus - 1) / cpus))M" "$@" -j y -o "$logs/" "$script"
    ;;
*)
    echo "submit.sh: unknown system '$system'; give lsf, pbs or sge." >&2
    exit 1
    ;;
esac
