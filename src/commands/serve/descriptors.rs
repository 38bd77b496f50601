//! How many sockets the program may have, and how many of them clients get.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What everything else needs: the log and its index, the watch on the config, listeners, the runtime, and some air.
const OTHERS: u64 = 32;
/// What macOS allows whatever its hard limit says.
const SAFE: u64 = 10_240;

/// Raises the limit of open descriptors as far as the system lets us. Returns what it is then.
pub(super) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let wanted = [limit.maximum, Some(SAFE.min(hard))];
    let raised = wanted.into_iter().any(|current| {
        current.is_none_or(|wanted| limit.current.is_some_and(|current| current < wanted))
            && setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum }).is_ok()
    });
    let now = if raised { getrlimit(Resource::Nofile) } else { limit };
    now.current.unwrap_or(u64::MAX)
}

/// How many connections of clients fit, each of which needs one more to an endpoint. If they could take all descriptors,
/// every one of them would wait for another to give one up.
pub(super) fn clients(limit: u64) -> usize {
    usize::try_from(limit.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX).max(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_leaves_room_for_its_own_request() {
        assert_eq!([0, 32, 48, 1024, u64::MAX].map(clients), [4, 4, 8, 496, usize::MAX / 2 - 16]);
    }

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        let raised = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current.unwrap_or(u64::MAX), raised);
        assert!(raised >= limit.maximum.unwrap_or(SAFE).min(SAFE));
        assert_eq!(raise(), raised);
    }
}
