//! Turns and handles: no deadlock, no starving caller, no more handles than the limit.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};

use super::*;

/// How long a test waits for an expected event.
const LONG: Duration = Duration::from_secs(60);

/// Maximum number of a vault's handles.
struct Most(usize);

impl Default for Most {
    fn default() -> Self {
        Self(1)
    }
}

impl Shared for Most {
    fn most(&self) -> usize {
        self.0
    }
}

/// A handle that is counted.
#[derive(Debug)]
struct Handle(Arc<AtomicUsize>);

impl Handle {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

type Handles = Pools<Handle, Most>;

fn vault(number: usize) -> VaultName {
    VaultName::parse(&format!("v{number}")).unwrap()
}

/// Opens a handle if there is none, and sets the vault's maximum number of handles.
fn open(checkout: &mut Checkout<'_, Handle, Most>, open: &Arc<AtomicUsize>, most: usize) {
    if checkout.handle.is_none() {
        checkout.handle = Some(Handle::new(open));
        checkout.caller.shared(|shared| shared.0 = most);
        checkout.caller.opened();
    }
}

/// Runs threads, each with its number, and fails if they do not end.
fn run(threads: usize, work: impl Fn(usize) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let (send, receive) = mpsc::channel();
    for number in 0..threads {
        let (work, send) = (Arc::clone(&work), send.clone());
        thread::spawn(move || {
            work(number);
            send.send(()).unwrap();
        });
    }
    drop(send);
    for _ in 0..threads {
        receive.recv_timeout(LONG).expect("a thread waits for ever, or panicked");
    }
}

/// Fails if a thread is recorded as having a handle, or as waiting for one.
fn assert_free(pools: &Handles) {
    let state = lock(&pools.0);
    assert!(state.waiting.is_empty());
    for pool in state.pools.values() {
        assert!(pool.holders.is_empty() && pool.waiters.is_empty());
        assert!(pool.entering.is_none() && pool.heir.is_none());
    }
}

#[test]
fn thread_cannot_wait_for_second_handle_of_same_vault() {
    let pools = Handles::default();
    let count = Arc::default();
    let mut first = pools.enter(&vault(1)).unwrap();
    open(&mut first, &count, 8);
    let _other = pools.enter(&vault(2)).unwrap();
    assert!(pools.enter(&vault(1)).is_none());
    drop(first);
    assert!(pools.enter(&vault(1)).unwrap().handle.is_some());
    assert_eq!(count.load(SeqCst), 1);
}

#[test]
fn wait_cycle_fails_single_thread() {
    let pools = Arc::new(Handles::default());
    let (ready, told) = (Barrier::new(3), Arc::new(AtomicUsize::new(0)));
    let (shared, count) = (Arc::clone(&pools), Arc::clone(&told));
    run(3, move |own| {
        let _own = shared.enter(&vault(own)).unwrap();
        ready.wait();
        if shared.enter(&vault((own + 1) % 3)).is_none() {
            count.fetch_add(1, SeqCst);
        }
    });
    assert_eq!(told.load(SeqCst), 1);
    assert_free(&pools);
}

#[test]
fn wait_with_returnable_handle_is_no_cycle() {
    let pools = Arc::new(Handles::default());
    let (shared, count) = (Arc::clone(&pools), Arc::new(AtomicUsize::new(0)));
    let (ready, end) = (Barrier::new(3), Barrier::new(2));
    run(3, move |number| {
        let enter = |vault: &VaultName| {
            let mut checkout = shared.enter(vault).unwrap();
            open(&mut checkout, &count, 2);
            checkout
        };
        match number {
            // Has a handle of the first vault, and waits for the second vault.
            0 => {
                let _own = enter(&vault(1));
                ready.wait();
                drop(enter(&vault(2)));
            }
            // Has the second vault, whose handles are all taken, and waits for the first vault.
            1 => {
                let _own = enter(&vault(2));
                lock(&shared.0).pool(&vault(2)).shared.0 = 1;
                ready.wait();
                drop(enter(&vault(1)));
                end.wait();
            }
            // Has the other handle of the first vault, and returns it when both threads wait.
            _ => {
                let own = enter(&vault(1));
                ready.wait();
                while lock(&shared.0).waiting.len() < 2 {
                    thread::yield_now();
                }
                drop(own);
                end.wait();
            }
        }
    });
    assert_free(&pools);
}

#[test]
fn vault_opens_handle_per_caller_up_to_limit() {
    for most in [1, 3] {
        let pools = Arc::new(Handles::default());
        let (shared, count) = (Arc::clone(&pools), Arc::new(AtomicUsize::new(0)));
        let (held, largest) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let (seen, handles) = (Arc::clone(&largest), Arc::clone(&count));
        run(most + 3, move |_| {
            let mut checkout = shared.enter(&vault(1)).unwrap();
            open(&mut checkout, &handles, most);
            seen.fetch_max(held.fetch_add(1, SeqCst) + 1, SeqCst);
            // Each thread waits until the maximum number of handles was in use at once.
            let began = Instant::now();
            while seen.load(SeqCst) < most {
                assert!(began.elapsed() < LONG, "a caller gets no handle of its own");
                thread::sleep(Duration::from_millis(1));
            }
            held.fetch_sub(1, SeqCst);
        });
        assert_eq!((largest.load(SeqCst), count.load(SeqCst)), (most, most));
        assert_free(&pools);
        pools.close(&vault(1));
        assert_eq!(count.load(SeqCst), 0);
    }
}

#[test]
fn waiting_caller_is_served_despite_busy_caller() {
    let pools = Arc::new(Handles::default());
    let (shared, count) = (Arc::clone(&pools), Arc::new(AtomicUsize::new(0)));
    let (busy, served) = (Barrier::new(2), AtomicBool::new(false));
    run(2, move |number| {
        let enter = || open(&mut shared.enter(&vault(1)).unwrap(), &count, 1);
        if number == 1 {
            busy.wait();
            enter();
            served.store(true, SeqCst);
            return;
        }
        enter();
        busy.wait();
        let began = Instant::now();
        while !served.load(SeqCst) {
            enter();
            assert!(began.elapsed() < LONG, "the other caller starves");
        }
    });
    assert_free(&pools);
}

#[test]
fn caller_waiting_for_closed_vault_reopens_vault() {
    let pools = Arc::new(Handles::default());
    let (shared, count) = (Arc::clone(&pools), Arc::new(AtomicUsize::new(0)));
    let handles = Arc::clone(&count);
    let (ready, opened) = (Barrier::new(2), Barrier::new(2));
    run(2, move |number| {
        if number == 1 {
            ready.wait();
            let mut checkout = shared.enter(&vault(1)).unwrap();
            assert!(checkout.handle.is_none() && !checkout.caller.is_further);
            open(&mut checkout, &handles, 1);
            opened.wait();
            return;
        }
        let mut checkout = shared.enter(&vault(1)).unwrap();
        open(&mut checkout, &handles, 1);
        ready.wait();
        while lock(&shared.0).waiting.is_empty() {
            thread::yield_now();
        }
        shared.close(&vault(1));
        // The call under way keeps its handle until it ends.
        opened.wait();
        assert_eq!(handles.load(SeqCst), 2);
        assert!(checkout.caller.shared(|_| ()).is_none());
    });
    // The old handle went with its call.
    assert_eq!(count.load(SeqCst), 1);
    pools.close_all();
    assert_eq!(count.load(SeqCst), 0);
    assert_free(&pools);
}

#[test]
fn single_caller_unlocks_and_older_handles_are_closed() {
    let pools = Arc::new(Handles::default());
    let count = Arc::new(AtomicUsize::new(0));
    let mut first = pools.enter(&vault(1)).unwrap();
    open(&mut first, &count, 4);
    let (shared, handles) = (Arc::clone(&pools), Arc::clone(&count));
    run(1, move |_| {
        let mut second = shared.enter(&vault(1)).unwrap();
        assert!(second.caller.is_further);
        open(&mut second, &handles, 4);
    });
    assert_eq!(count.load(SeqCst), 2);
    let (shared, (send, receive)) = (Arc::clone(&pools), mpsc::sync_channel(0));
    let other = thread::spawn(move || {
        let second = shared.enter(&vault(1)).unwrap();
        assert!(second.handle.is_some());
        send.send(()).unwrap();
        send.send(()).unwrap();
        // Another thread unlocks it, then has unlocked it.
        let may = second.caller.may_unlock(|_| true);
        send.send(()).unwrap();
        send.send(()).unwrap();
        may || second.caller.may_unlock(|_| true)
    });
    receive.recv_timeout(LONG).unwrap();
    assert!(!first.caller.may_unlock(|_| false));
    assert!(first.caller.may_unlock(|_| true));
    receive.recv_timeout(LONG).unwrap();
    receive.recv_timeout(LONG).unwrap();
    first.caller.unlocked(|_| ());
    receive.recv_timeout(LONG).unwrap();
    assert!(!other.join().unwrap());
    assert_eq!(count.load(SeqCst), 1, "the other handle is of before");
    drop(first);
    assert_free(&pools);
    assert_eq!(count.load(SeqCst), 1);
}

#[test]
fn idle_handle_is_closed_when_handle_is_returned() {
    let count = Arc::new(AtomicUsize::new(0));
    let mut pool = Pool::<Handle, Most>::new(1);
    let now = Instant::now();
    assert!(pool.put_back(Handle::new(&count)).is_none());
    assert!(pool.put_back(Handle::new(&count)).is_none());
    pool.idle[0].0 = now.checked_sub(IDLE + Duration::from_secs(1)).unwrap();
    assert!(pool.put_back(Handle::new(&count)).is_some());
    assert_eq!((pool.idle.len(), count.load(SeqCst)), (2, 2));
    // The last handle stays, however long it is idle.
    pool.idle.truncate(1);
    pool.idle[0].0 = now.checked_sub(IDLE * 2).unwrap();
    let last = pool.idle.pop().unwrap().1;
    assert!(pool.put_back(last).is_none());
}

#[test]
fn threads_on_cyclic_vaults_all_finish() {
    const VAULTS: usize = 4;
    let pools = Arc::new(Handles::default());
    let (shared, count) = (Arc::clone(&pools), Arc::new(AtomicUsize::new(0)));
    let (done, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (good, bad, handles) = (Arc::clone(&done), Arc::clone(&told), Arc::clone(&count));
    run(8, move |thread| {
        for round in 0..2_000 {
            let own = (thread + round) % VAULTS;
            let mut checkout = shared.enter(&vault(own)).expect("this thread has no other one");
            open(&mut checkout, &handles, 1 + own % 3);
            // Opening or unlocking it takes a handle of the next vault, in a circle.
            match shared.enter(&vault((own + 1) % VAULTS)) {
                None => bad.fetch_add(1, SeqCst),
                Some(mut next) => {
                    open(&mut next, &handles, 1 + (own + 1) % VAULTS % 3);
                    if round % 500 == thread {
                        shared.close(&vault(own));
                    }
                    good.fetch_add(1, SeqCst)
                }
            };
        }
    });
    assert_eq!(done.load(SeqCst) + told.load(SeqCst), 16_000);
    assert!(done.load(SeqCst) > 0);
    assert_free(&pools);
    pools.close_all();
    assert_eq!(count.load(SeqCst), 0);
}
