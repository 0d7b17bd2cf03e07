#!/bin/bash
# A Slurm of one node on 127.0.0.1, started and stopped here, runs tuner/slurm/tune-array: shards as a job array, then the merge.
. "$(dirname "$0")/../tuner/lib.sh"
PATH=$PATH:/usr/sbin # where Debian keeps the daemons
slurm=$scratch/slurm
daemons=()
stop() {
    for ((d = ${#daemons[@]} - 1; d >= 0; d--)); do kill "${daemons[d]}" 2>/dev/null; done
    wait
    rm -rf "$scratch"
}
trap stop EXIT
give_up() { # WHAT LOG...: without the daemons nothing below means anything
    failed=$((failed + 1))
    echo "FAILED $1"
    shift
    tail -n 20 "$@" 2>/dev/null | sed 's/^/    /'
    finish
    exit 1
}
within() { # SECONDS COMMAND...: until it succeeds
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}
for program in munged slurmctld slurmd sbatch scontrol; do
    command -v $program >/dev/null || give_up "$program is not installed: make test-extra does that"
done

# munge wants to know that others cannot have written what it reads, and that they can reach its socket.
chmod 755 "$scratch"
mkdir -p "$slurm"/{state,spool}
(umask 077 && head -c 128 /dev/urandom >"$slurm/munge.key")
read -r ctl_port node_port < <(python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')
host=$(hostname -s)
export SLURM_CONF=$slurm/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=tunesmith-test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$ctl_port
SlurmdPort=$node_port
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/linear
SchedulerType=sched/builtin
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc)
PartitionName=all Nodes=$host Default=YES State=UP
CONF
munged --foreground --force --key-file="$slurm/munge.key" --socket="$slurm/munge.socket" --pid-file="$slurm/munged.pid" \
    --log-file="$slurm/munged.log" --seed-file="$slurm/munged.seed" >"$slurm/munged.out" 2>&1 &
daemons+=($!)
within 20 munge -n -S "$slurm/munge.socket" || give_up "munged starts" "$slurm/munged.out" "$slurm/munged.log"
slurmctld -D -c >"$slurm/slurmctld.out" 2>&1 &
daemons+=($!)
within 30 scontrol ping || give_up "slurmctld starts" "$slurm/slurmctld.out" "$slurm/slurmctld.log"
slurmd -D >"$slurm/slurmd.out" 2>&1 &
daemons+=($!)
idle() { [ "$(sinfo -h -o %T)" = idle ]; }
within 60 idle || give_up "the node is up" "$slurm/slurmd.out" "$slurm/slurmd.log" "$slurm/slurmctld.log"
check "the cluster answers" sinfo

state() { scontrol -o show job "$1" | grep -o ' JobState=[A-Z_]*' | sort -u | sed 's/.*=//'; }
ended() { ! state "$1" | grep -qE 'PENDING|RUNNING|COMPLETING|CONFIGURING'; }
submit() { # DB COMMAND...: submits, waits for the merge; its state is in $merged, the array's in $ran
    "$@" >"$scratch/said" 2>"$scratch/err" || give_up "jobs are submitted" "$scratch/err"
    read -r array merge < <(sed -E 's/^job ([0-9]+): .*; job ([0-9]+): .*/\1 \2/' "$scratch/said")
    within 240 ended "$merge" || give_up "the merge job ends" "$slurm/slurmctld.log" "$slurm/slurmd.log"
    ran=$(state "$array") merged=$(state "$merge")
}
picks=()
for p in 'norm m=16 d=96 kind=rms dtype=fp32 add=0' 'argmax m=3 v=2000' 'embedding t=5 v=50 d=64 dtype=bf16' 'gemv n=70 k=50 dtype=fp32 out=fp32'; do
    picks+=(--problem "$p")
done
places() { query "$1" "SELECT p.text, d.name FROM winner w JOIN problem p ON p.id = problem_id JOIN device d ON d.id = device_id ORDER BY 1, 2"; }
db=$scratch/merged.db
arguments=("$db" --gpu cpu --budget 2s "${picks[@]}")
export SBATCH_EXCLUSIVE=exclusive

submit tuner/slurm/tune-array 3 "${arguments[@]}"
check "the shards ran" test "$ran" = COMPLETED
check "the merge ran" test "$merged" = COMPLETED
check "three databases" test "$(ls "$db.parts" | grep -cx '[123].db')" = 3
check "each task tuned its shard" test "$(grep -ho 'shard [123]/3: [12] of 4 problems' "$db.parts"/[123].log | sort -u | wc -l)" = 3
check "the merge said what it added" grep -q '^winners: 4 added' "$db.parts/merge.log"
check "a run on one machine" "$tune" --gpu cpu --budget 2s --quiet "${picks[@]}" --db "$scratch/whole.db"
check "the merged database has its problems" test "$(places "$db")" = "$(places "$scratch/whole.db")"
check "and all are raced" test "$(query "$db" "SELECT count(*) FROM winner WHERE ci_low_us > 0")" = 4

# The same command: nothing is measured again, nothing is merged twice.
submit tuner/slurm/tune-array 3 "${arguments[@]}"
check "a second array" test "$ran $merged" = "COMPLETED COMPLETED"
check "measures nothing" test "$(grep -l 'nothing new to measure' "$db.parts"/[123].log | wc -l)" = 3
check "adds nothing" grep -q '^winners: 0 added, 0 replaced, 0 kept, 4 same' "$db.parts/merge.log"

# A shard that fails: the others are merged all the same, and the merge says so.
cat >"$scratch/fails-second" <<WRAPPER
#!/bin/bash
[ "\$SLURM_JOB_NAME" != tune ] || [ "\$SLURM_ARRAY_TASK_ID" != 2 ] || { echo "no such device" >&2; exit 3; }
exec "$PWD/$tune" "\$@"
WRAPPER
chmod +x "$scratch/fails-second"
arguments[0]=$scratch/partly.db
submit env TUNE="$scratch/fails-second" tuner/slurm/tune-array 3 "${arguments[@]}"
check "one shard failed" grep -q FAILED <<<"$ran"
check "so did the merge" test "$merged" = FAILED
check "... which names the shard" grep -q 'shard 2 of 3 left no database' "$scratch/partly.db.parts/merge.log"
check "... and merged the others" test "$(query "$scratch/partly.db" "SELECT count(*) FROM winner")" -ge 2
submit tuner/slurm/tune-array 3 "${arguments[@]}"
check "the same command goes on" test "$ran $merged" = "COMPLETED COMPLETED"
check "... to the whole" test "$(places "$scratch/partly.db")" = "$(places "$scratch/whole.db")"
finish
