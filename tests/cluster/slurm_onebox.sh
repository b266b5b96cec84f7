#!/usr/bin/env bash
# A whole Slurm on this machine for tests, as root: daemons, two partitions, GPUs that are other devices.
#   slurm_onebox.sh start FOLDER GPUS CPUS    all its files in FOLDER; CPUs may be more than there are
#   slurm_onebox.sh stop FOLDER
# It touches nothing outside FOLDER but two links in /etc/slurm, and munged if that was not running.
set -euo pipefail
PATH=$PATH:/usr/sbin
command=$1
folder=$(realpath -m "$2")

start() {
  local gpus=$1 cpus=$2 host devices i
  host=$(hostname -s)
  # Slurm wants a device file for each GPU and never opens it.
  devices=(/dev/null /dev/zero /dev/full /dev/random /dev/urandom)
  [ "$gpus" -le "${#devices[@]}" ] || { echo "at most ${#devices[@]} GPUs" >&2; exit 2; }
  mkdir -p "$folder"/state "$folder"/spool
  cat > "$folder/slurm.conf" <<CONF
ClusterName=onebox
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=3600
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=100000 Gres=gpu:$gpus State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=$host MaxTime=INFINITE State=UP
CONF
  echo "AutoDetect=off" > "$folder/gres.conf"
  for ((i = 0; i < gpus; i++)); do
    echo "NodeName=$host Name=gpu File=${devices[$i]}" >> "$folder/gres.conf"
  done
  # Job steps are started without SLURM_CONF, so the configuration must stand where Slurm looks first.
  mkdir -p /etc/slurm
  ln -s "$folder/slurm.conf" "$folder/gres.conf" /etc/slurm/
  if ! munge -n > /dev/null 2>&1; then
    install -d -o munge -g munge /run/munge
    runuser -u munge -- munged
    touch "$folder/munged.ours"
  fi
  slurmctld
  slurmd
  for ((i = 0; i < 100; i++)); do
    [ "$(sinfo -h -o %T -p gpu 2> /dev/null)" = idle ] && return
    sleep 0.2
  done
  echo "the node does not come up:" >&2
  tail -n 20 "$folder"/*.log >&2
  exit 1
}

stop() {
  # Jobs first, for slurmd leaves them running; the daemons may have gone already.
  SLURM_CONF=$folder/slurm.conf scancel --user=root || true
  for daemon in slurmd slurmctld; do
    end "$folder/$daemon.pid"
  done
  if [ -e "$folder/munged.ours" ]; then
    end /run/munge/munged.pid
  fi
  for name in slurm.conf gres.conf; do
    if [ "$(readlink "/etc/slurm/$name")" = "$folder/$name" ]; then rm "/etc/slurm/$name"; fi
  done
}

# End the process that a file names and wait until it is gone.
end() {
  local pid
  pid=$(cat "$1" 2> /dev/null) || return 0
  kill "$pid" 2> /dev/null || return 0
  for ((i = 0; i < 50; i++)); do
    kill -0 "$pid" 2> /dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid"
}

case $command in
  start) start "$3" "$4" ;;
  stop) stop ;;
  *) echo "usage: $0 start FOLDER GPUS CPUS | stop FOLDER" >&2; exit 2 ;;
esac
