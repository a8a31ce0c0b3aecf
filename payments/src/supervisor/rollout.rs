//! What to start and stop next so that the pods become what is wanted: a pure function, called again and again.

/// How pods are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Pods above the wanted number, and pods that may be missing, while rolling.
    Rolling {
        max_surge: usize,
        max_unavailable: usize,
    },
    /// Every old pod ends before the first new one starts.
    Recreate,
}

/// What the plan needs to know of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// It runs the wanted revision.
    pub(super) current: bool,
    pub(super) ready: bool,
    /// It has been told to stop and has not ended yet.
    pub(super) stopping: bool,
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Pods of the wanted revision to start.
    pub(super) start: usize,
    /// Positions of the pods to stop.
    pub(super) stop: Vec<usize>,
}

/// The next step towards `replicas` pods of the wanted revision.
pub(super) fn plan(replicas: usize, strategy: Strategy, pods: &[Seen]) -> Plan {
    let live = |current: bool| {
        let mut positions: Vec<usize> = (0..pods.len())
            .filter(|&i| !pods[i].stopping && pods[i].current == current)
            .collect();
        // Those that serve nobody go first.
        positions.sort_by_key(|&i| pods[i].ready);
        positions
    };
    let (new, old) = (live(true), live(false));
    let (max_surge, max_unavailable) = match strategy {
        Strategy::Rolling {
            max_surge,
            max_unavailable,
        } => (max_surge, max_unavailable),
        Strategy::Recreate => (0, replicas),
    };
    let occupying = if strategy == Strategy::Recreate {
        pods.len()
    } else {
        new.len() + old.len()
    };
    let room = (replicas + max_surge).saturating_sub(occupying);
    let mut plan = Plan {
        start: replicas.saturating_sub(new.len()).min(room),
        stop: Vec::new(),
    };
    plan.stop.extend(&new[..new.len().saturating_sub(replicas)]);
    let mut available = pods.iter().filter(|p| p.ready && !p.stopping).count();
    available -= plan.stop.iter().filter(|&&i| pods[i].ready).count();
    for position in old {
        if !pods[position].ready {
            plan.stop.push(position);
        } else if available > replicas.saturating_sub(max_unavailable) {
            available -= 1;
            plan.stop.push(position);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLING: Strategy = Strategy::Rolling {
        max_surge: 1,
        max_unavailable: 0,
    };

    fn pod(current: bool, ready: bool) -> Seen {
        Seen {
            current,
            ready,
            stopping: false,
        }
    }

    #[test]
    fn a_rollout_never_serves_with_fewer_pods_than_wanted() {
        let mut pods = vec![pod(false, true); 2];
        for _ in 0..20 {
            let step = plan(2, ROLLING, &pods);
            for &i in step.stop.iter().rev() {
                pods.remove(i);
            }
            assert!(pods.iter().filter(|p| p.ready).count() >= 2, "{pods:?}");
            assert!(pods.len() + step.start <= 3, "{pods:?} and {}", step.start);
            // What was started before becomes ready only after the next plan.
            pods.iter_mut().for_each(|p| p.ready = true);
            pods.extend(vec![pod(true, false); step.start]);
        }
        assert_eq!(pods, vec![pod(true, true); 2]);
        assert_eq!(plan(2, ROLLING, &pods), Plan::default());
    }

    #[test]
    fn scaling_down_stops_the_unready_first() {
        let pods = [pod(true, true), pod(true, false), pod(true, true)];
        assert_eq!(
            plan(2, ROLLING, &pods),
            Plan {
                start: 0,
                stop: vec![1]
            }
        );
        assert_eq!(plan(0, ROLLING, &pods).stop.len(), 3);
    }

    #[test]
    fn recreate_waits_for_the_end_of_the_old() {
        let old = pod(false, true);
        assert_eq!(
            plan(1, Strategy::Recreate, &[old]),
            Plan {
                start: 0,
                stop: vec![0]
            }
        );
        let stopping = Seen {
            stopping: true,
            ..old
        };
        assert_eq!(plan(1, Strategy::Recreate, &[stopping]), Plan::default());
        assert_eq!(
            plan(1, Strategy::Recreate, &[]),
            Plan {
                start: 1,
                stop: vec![]
            }
        );
    }
}
