//! Sockets that the host connects a runner to: the limits hold, and nothing of them stays.

use std::os::unix::net::UnixListener;

use super::*;

/// The plugin's error for any other socket.
const REFUSED: &str = "Permission denied (os error 13)";

/// Returns a setup whose plugin may connect to a socket with a listener.
fn with_socket(dir: &Path) -> (Stage, UnixListener) {
    let path = dir.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut stage = stage("");
    let permission = format!("socket:{}", path.display());
    stage.setup.granted = Granted::for_tests(&[&permission], [7; 32], SandboxLevel::BestEffort);
    (stage, listener)
}

#[test]
fn plugin_with_socket_grant_is_rejected_without_filter() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, _listener) = with_socket(dir.path());
    stage.setup.launch.environment.push((stand_in::KERNEL.to_owned(), "filters".into()));
    let refused = match Runner::open(stage.setup, request(amply())) {
        Err(CallError::Runner(error)) => error,
        opened => panic!("{opened:?}"),
    };
    assert_eq!(refused.code(), "E11.sandbox");
    let text = refused.to_string();
    assert!(text.contains("cannot have the host connect it to the sockets"), "{text}");
    assert_eq!(*stage.blamed.lock().unwrap(), [""; 0]);
}

/// Returns how many threads of this process answer connections.
fn answering() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "keystead-connec").count()
}

#[test]
fn connection_threads_end_with_runner() {
    let dir = tempfile::tempdir().unwrap();
    let (stage, listener) = with_socket(dir.path());
    let path = dir.path().join("socket").display().to_string();
    for _ in 0..20 {
        let mut runner = open(&stage);
        assert_eq!(text(&mut runner, &format!("greet {path}")), "done");
        assert_eq!(text(&mut runner, &format!("greet {path}.other")), REFUSED);
        assert!(answering() > 0);
        assert!(listener.accept().is_ok());
    }
    let until = Instant::now() + Duration::from_secs(10);
    while answering() > 0 {
        assert!(Instant::now() < until, "{} threads are left", answering());
        std::thread::sleep(Duration::from_millis(5));
    }
}
