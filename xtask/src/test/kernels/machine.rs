//! One emulated machine: its first files, its disk, its two serial lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::output;
use crate::provision::kernels::Kernel;

/// The machine's first program, and what that runs.
const INIT: &str = include_str!("init.sh");
const STEPS: &str = include_str!("steps.sh");
const MAIN_JOB: &str = include_str!("main_job.sh");

/// Memory in MiB: the zoo takes more than one GiB, and is to be stopped there.
const MEMORY: &str = "3072";

/// The disk in bytes: it is sparse, and the zoo makes a file of 16 GiB that has nothing in it.
const DISK: u64 = 40 << 30;

/// What is run in a machine.
pub(super) struct Job<'a> {
    /// The checkout.
    pub(super) root: &'a Path,
    /// Where it is built.
    pub(super) target: &'a Path,
    /// The tests, relative to that.
    pub(super) tests: &'a [PathBuf],
}

/// A machine that runs.
pub(super) struct Machine {
    child: Child,
    lines: Receiver<String>,
    /// The kernel's own words.
    console: PathBuf,
    _folder: tempfile::TempDir,
}

impl Machine {
    /// Boots a kernel with a job. What the kernel says goes into a file.
    pub(super) fn boot(
        qemu: &Path,
        kernel: &Kernel,
        job: &Job<'_>,
        console: &Path,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("keystead-machine-").tempdir()?;
        let first = folder.path().join("first");
        lay_out(&first, kernel, job)?;
        let (archive, disk) = (folder.path().join("first.cpio"), folder.path().join("disk"));
        pack(kernel, &first, &archive)?;
        File::create(&disk)?.set_len(DISK)?;
        let mut format = Command::new("/sbin/mkfs.ext4");
        format.args(["-q", "-E", "lazy_itable_init=1,lazy_journal_init=1"]).arg(&disk);
        succeeds(&mut format)?;
        let mut machine = Command::new(qemu);
        machine.args(["-accel", "tcg,thread=multi,tb-size=512", "-smp", "2", "-m", MEMORY]);
        // What takes an emulated processor long and changes nothing that is looked at: a fifth level
        // of page tables, and what real processors need against their own faults.
        machine.args(["-cpu", "max,la57=off", "-append"]);
        machine.arg("console=ttyS0 quiet panic=-1 mitigations=off");
        machine.arg("-kernel").arg(kernel.image()).arg("-initrd").arg(&archive);
        machine.args(["-no-reboot", "-display", "none", "-monitor", "none", "-nic", "none"]);
        machine.args(["-serial", &format!("file:{}", escaped(console)), "-serial", "stdio"]);
        machine.args([
            "-drive",
            &format!("file={},format=raw,if=virtio,cache=unsafe", escaped(&disk)),
        ]);
        // All files of this machine, to be read.
        machine.args([
            "-fsdev",
            "local,id=files,path=/,security_model=none,readonly=on,multidevs=remap",
        ]);
        machine.args(["-device", "virtio-9p-pci,fsdev=files,mount_tag=files"]);
        let mut child = machine
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| format!("{}: {error}", qemu.display()))?;
        let told = child.stdout.take().ok_or("it has no standard output")?;
        let mut log = File::create(console.with_extension("log"))?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(told).split(b'\n').map_while(std::result::Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                // A line that is not there is missed by nobody but who looks at the file.
                let _ = writeln!(log, "{line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, console: console.to_owned(), _folder: folder })
    }

    /// Waits for the end of a step, and returns its exit code and what it said.
    pub(super) fn step(&mut self, name: &str, longest: Duration) -> Result<(i32, String)> {
        let (begin, end) = (format!("@@ begin {name}"), format!("@@ end {name} "));
        let until = Instant::now() + longest;
        let mut said = String::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let kernel = fs_err::read_to_string(&self.console).unwrap_or_default();
                return Err(format!("it has not ended; so far:\n{said}\n{kernel}").into());
            };
            if line == begin {
                said.clear();
            } else if let Some(code) = line.strip_prefix(&end) {
                // It begins a line of its own, whatever stood before.
                said.pop();
                return Ok((code.parse()?, said));
            } else {
                said.push_str(&line);
                said.push('\n');
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes the machine's first files.
fn lay_out(first: &Path, kernel: &Kernel, job: &Job<'_>) -> Result<()> {
    for folder in ["bin", "proc", "sys", "dev", "below", "disk", "root", "modules", "job"] {
        fs_err::create_dir_all(first.join(folder))?;
    }
    fs_err::copy(kernel.busybox(), first.join("bin/busybox"))?;
    for module in fs_err::read_dir(kernel.modules())? {
        let module = module?;
        fs_err::copy(module.path(), first.join("modules").join(module.file_name()))?;
    }
    let init = first.join("init");
    fs_err::write(&init, INIT)?;
    fs_err::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs_err::write(first.join("job/steps.sh"), STEPS)?;
    fs_err::write(first.join("job/main_job.sh"), MAIN_JOB)?;
    let words = |files: &[PathBuf]| {
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        files.join(" ")
    };
    let mut libraries = Vec::new();
    for entry in fs_err::read_dir(job.target.join("debug"))? {
        let name = PathBuf::from(entry?.file_name());
        if name.extension().is_some_and(|extension| extension == "so") {
            libraries.push(Path::new("debug").join(name));
        }
    }
    let variables = [
        ("ROOT", job.root.display().to_string()),
        ("TARGET", job.target.display().to_string()),
        ("TESTS", words(job.tests)),
        ("LIBRARIES", words(&libraries)),
    ];
    let variables = variables.map(|(name, value)| format!("{name}={}\n", quoted(&value)));
    fs_err::write(first.join("job/variables"), variables.concat())?;
    Ok(())
}

/// Makes one archive of a folder, as the kernel unpacks it.
fn pack(kernel: &Kernel, folder: &Path, archive: &Path) -> Result<()> {
    let mut pack = Command::new("/bin/sh");
    pack.args(["-c", "find . | \"$0\" cpio -o -H newc >\"$1\""]);
    pack.arg(kernel.busybox()).arg(archive).current_dir(folder);
    succeeds(&mut pack)
}

fn succeeds(command: &mut Command) -> Result<()> {
    let output = output(command)?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Returns a path as qemu's options have it: a comma would end it.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Returns one word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
