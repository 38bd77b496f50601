//! The terminal is left as it was found, on every path out of the dashboard. Each test gives the real program a terminal
//! of its own and looks at that terminal's modes afterwards, as the next shell would find them.
#![cfg(unix)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use claude_proxy::tui::terminal::{Guard, give_back_on_panic};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::support::proxy::Config;
use super::support::{Request, eventually, healthy};

/// A program on a terminal.
struct Screen {
    keyboard: File,
    /// Ours too, so that its modes can be looked at when the program is gone.
    terminal: OwnedFd,
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
    before: Modes,
}

/// What a shell would find, but for the flags that no program here touches.
#[derive(Debug, PartialEq)]
struct Modes(String);

fn modes(terminal: &OwnedFd) -> Modes {
    let found = tcgetattr(terminal).unwrap();
    let (input, output) = (found.input_modes, found.output_modes);
    Modes(format!("{input:?} {output:?} {:?} {:?}", found.control_modes, found.local_modes))
}

impl Screen {
    fn run(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let before = modes(&terminal);
        let end = || Stdio::from(terminal.try_clone().unwrap());
        // A job of its own, as a shell would make it.
        command.stdin(end()).stdout(end()).stderr(end()).process_group(0);
        let child = command.spawn().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, keep) = (File::from(master.try_clone().unwrap()), Arc::clone(&seen));
        // Ends with the test program: the terminal is held open until then.
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                keep.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        Self { keyboard: File::from(master), terminal, child, seen, before }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    async fn shows(&self, text: &str) {
        eventually(&format!("the screen shows {text:?}"), || self.seen().contains(text)).await;
    }

    fn press(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    async fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// The last word on each thing that was taken is that it is given back.
    async fn assert_clean(&self, way: &str) {
        assert_eq!(modes(&self.terminal), self.before, "{way}");
        // What was written last may still be on its way to us.
        let given_back = |taken: &str, back: &str| {
            let seen = self.seen();
            seen.rfind(taken).is_some_and(|taken| seen.rfind(back).is_some_and(|back| taken < back))
        };
        for (what, taken, back) in [
            ("the alternate screen", "\x1b[?1049h", "\x1b[?1049l"),
            ("the cursor", "\x1b[?25l", "\x1b[?25h"),
            ("clicks", "\x1b[?1000h", "\x1b[?1000l"),
            ("pastes", "\x1b[?2004h", "\x1b[?2004l"),
        ] {
            eventually(&format!("{way}: {what} given back"), || given_back(taken, back)).await;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tui(admin: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-proxy"));
    command.args(["tui", "--admin", admin]).current_dir(folder);
    command.env_clear().env("TERM", "xterm-256color").env("LANG", "C.UTF-8").env("HOME", folder);
    command
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn without_a_proxy(folder: &Path) -> Screen {
    let screen = Screen::run(tui(&nobody(), folder));
    screen.shows("No running claude-proxy at").await;
    assert!(screen.is_raw());
    screen
}

#[tokio::test]
async fn the_terminal_is_clean_after_every_way_out() {
    type Way = (&'static str, fn(&mut Screen));
    let ways: [Way; 5] = [
        ("q", |screen| screen.press(b"q")),
        ("Ctrl-C", |screen| screen.press(b"\x03")),
        ("SIGTERM", |screen| screen.signal(Signal::TERM)),
        ("SIGHUP", |screen| screen.signal(Signal::HUP)),
        ("SIGINT", |screen| screen.signal(Signal::INT)),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (way, leave) in ways {
        let mut screen = without_a_proxy(folder.path()).await;
        leave(&mut screen);
        assert_eq!(screen.exit().await.code(), Some(4), "{way}: there was no proxy");
        screen.assert_clean(way).await;
        screen.shows("no running claude-proxy at").await;
        screen.shows("the address is from --admin").await;
    }
}

#[tokio::test]
async fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut screen = without_a_proxy(folder.path()).await;
    screen.press(b"\x1a");
    let stopped = || {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(screen.pid()), options).unwrap().is_some()
    };
    eventually("it stops", stopped).await;
    screen.assert_clean("Ctrl-Z").await;
    let drawn = screen.seen().len();
    screen.signal(Signal::CONT);
    eventually("it takes the terminal again", || screen.is_raw()).await;
    let again = || String::from_utf8_lossy(&screen.seen.lock().unwrap()[drawn..]).contains("No running");
    eventually("it draws everything anew", again).await;
    let drawn = screen.seen().len();
    screen.press(b"\x0c");
    let again = || String::from_utf8_lossy(&screen.seen.lock().unwrap()[drawn..]).contains("No running");
    eventually("Ctrl-L draws everything anew", again).await;
    screen.press(b"q");
    assert_eq!(screen.exit().await.code(), Some(4));
    screen.assert_clean("q after fg").await;
}

/// The program that the next test runs: this one, on a terminal.
#[test]
#[ignore = "not a test, but what a test runs"]
fn has_a_bug() {
    let _guard = Guard::take().unwrap();
    give_back_on_panic(|_| {});
    panic!("the bug");
}

#[tokio::test]
async fn a_panic_leaves_the_terminal_clean_and_is_readable() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "terminal::has_a_bug", "--ignored", "--nocapture"]).env("TERM", "xterm-256color");
    let mut screen = Screen::run(command);
    assert!(!screen.exit().await.success());
    screen.assert_clean("a panic").await;
    let seen = screen.seen();
    let told = seen.find("a bug in claude-proxy:").expect("it is told");
    assert!(seen[told..].contains("the bug") && told > seen.rfind("\x1b[?1049l").unwrap(), "{seen}");
}

#[tokio::test]
async fn attached_it_shows_what_passes_and_ends_well() {
    let upstream = healthy("primary").await;
    let proxy = Config::in_order([&upstream]).admin().start().await;
    let admin = format!("http://{}", proxy.admin().await.address);
    let mut screen = Screen::run(tui(&admin, &proxy.folder()));
    screen.shows("primary").await;
    screen.shows("no request yet").await;
    proxy.send(&Request::message()).await;
    screen.shows("json").await;
    screen.press(b"q");
    assert_eq!(screen.exit().await.code(), Some(0));
    screen.assert_clean("q").await;
}

#[tokio::test]
async fn the_mouse_is_let_go_of_by_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut screen = without_a_proxy(folder.path()).await;
    assert!(!screen.seen().contains("\x1b[?1000l"));
    screen.press(b"M");
    screen.shows("\x1b[?1000l").await;
    screen.press(b"q");
    screen.exit().await;
    screen.assert_clean("q without the mouse").await;
}

#[tokio::test]
async fn what_is_no_terminal_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let mut dumb = tui(&nobody(), folder.path());
    dumb.env("TERM", "dumb");
    let mut screen = Screen::run(dumb);
    assert_eq!(screen.exit().await.code(), Some(2));
    screen.shows("TERM is dumb").await;
    assert!(!screen.seen().contains("\x1b[?"), "{}", screen.seen());
    let piped = tui(&nobody(), folder.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(piped.stderr).unwrap();
    assert_eq!((piped.status.code(), piped.stdout.len()), (Some(2), 0), "{said}");
    assert!(said.contains("draws on a terminal") && said.contains("claude-proxy status"), "{said}");
}
