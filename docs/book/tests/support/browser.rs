//! A headless Chromium that is spoken to over two pipes, in its DevTools protocol: it opens pages,
//! clicks, takes pictures, and keeps a log of what was requested and of what went wrong.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long anything may take, on a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(120);

/// A Chromium under one of its names. `PIECEMEAL_BROWSER` in the environment says that there has to be one.
pub fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        let needed = std::env::var_os("PIECEMEAL_BROWSER").is_some();
        assert!(
            !needed,
            "no Chromium is installed, but this run must have it (tests/interop/install.sh)"
        );
    }
    found
}

/// A window. Dropping it ends the browser.
pub struct Browser {
    child: Child,
    pipe: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last_id: u64,
    /// The contexts in which scripts run, with their frames.
    contexts: Vec<(u64, String)>,
    /// The address of each request.
    pub requests: Vec<String>,
    /// Exceptions, and what the console calls errors.
    pub errors: Vec<String>,
}

impl Browser {
    /// Starts it. Its profile goes into the folder.
    pub fn start(program: &Path, folder: &Path) -> Browser {
        // It takes orders from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .args(["--no-first-run", "--disable-component-update", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let pipe = child.stdin.take().expect("it is a pipe");
        let output = child.stdout.take().expect("it is a pipe");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let Ok(message) = message else { return };
                let Ok(message) = serde_json::from_slice(&message) else { continue };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            child,
            pipe,
            messages,
            session: None,
            last_id: 0,
            contexts: Vec::new(),
            requests: Vec::new(),
            errors: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends an order and waits for its answer.
    #[track_caller]
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.attempt(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The same. It is an error of the order if its page is just being left, for one.
    #[track_caller]
    fn attempt(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.pipe.write_all(message.to_string().as_bytes()).expect("the browser listens");
        self.pipe.write_all(&[0]).expect("the browser listens");
        let begun = Instant::now();
        loop {
            let left = LIMIT.saturating_sub(begun.elapsed());
            match self.messages.recv_timeout(left) {
                Ok(message) if message["id"] == json!(id) => {
                    let error = &message["error"];
                    let result = message["result"].clone();
                    return if error.is_null() { Ok(result) } else { Err(error.clone()) };
                }
                Ok(event) => self.note(&event),
                Err(RecvTimeoutError::Timeout) => panic!("{method} is not answered"),
                Err(RecvTimeoutError::Disconnected) => panic!("the browser ended at {method}"),
            }
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.requests
                    .push(params["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            "Runtime.exceptionThrown" => self.errors.push(params["exceptionDetails"].to_string()),
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                self.errors.push(params["entry"].to_string());
            }
            "Runtime.executionContextCreated" => {
                let context = &params["context"];
                if context["auxData"]["isDefault"] == true {
                    let frame = context["auxData"]["frameId"].as_str().unwrap_or_default();
                    self.contexts
                        .push((context["id"].as_u64().unwrap_or_default(), frame.to_owned()));
                }
            }
            "Runtime.executionContextDestroyed" => {
                let id = params["executionContextId"].as_u64().unwrap_or_default();
                self.contexts.retain(|(context, _)| *context != id);
            }
            "Runtime.executionContextsCleared" => self.contexts.clear(),
            _ => {}
        }
    }

    /// Makes the window this wide and high; `dark` is what the system prefers.
    pub fn window(&mut self, width: u32, height: u32, dark: bool) {
        let phone = width < 600;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let value = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Opens a file, perhaps with a fragment, and waits until it is there.
    pub fn open(&mut self, file: &Path, fragment: &str) {
        // Another fragment of the same page alone would load nothing.
        self.call("Page.navigate", json!({"url": "about:blank"}));
        self.wait("location.href === 'about:blank' && document.readyState === 'complete'");
        let url = format!("file://{}{fragment}", file.display());
        self.call("Page.navigate", json!({"url": url}));
        self.wait("location.protocol === 'file:' && document.readyState === 'complete'");
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub fn eval(&mut self, script: &str) -> Value {
        self.value(script, None).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The value of an expression in the page's frame. Null while there is none.
    #[track_caller]
    pub fn eval_in_frame(&mut self, script: &str) -> Value {
        let tree = self.call("Page.getFrameTree", json!({}));
        let frame = tree["frameTree"]["childFrames"][0]["frame"]["id"].as_str().map(str::to_owned);
        let Some(frame) = frame else { return Value::Null };
        let context = self.contexts.iter().rev().find(|(_, of)| *of == frame).map(|(id, _)| *id);
        if context.is_none() {
            return Value::Null;
        }
        self.value(script, context).unwrap_or_default()
    }

    /// The value of an expression. An error if its page is just being left.
    #[track_caller]
    fn value(&mut self, script: &str, context: Option<u64>) -> Result<Value, Value> {
        let mut params = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        if let Some(context) = context {
            params["contextId"] = json!(context);
        }
        let result = self.attempt("Runtime.evaluate", params)?;
        assert!(result["exceptionDetails"].is_null(), "{script}: {}", result["exceptionDetails"]);
        Ok(result["result"]["value"].clone())
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub fn wait(&mut self, script: &str) {
        let begun = Instant::now();
        while self.value(script, None) != Ok(Value::Bool(true)) {
            assert!(begun.elapsed() < LIMIT, "it never was true: {script}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until an expression in the page's frame is true.
    #[track_caller]
    pub fn wait_in_frame(&mut self, script: &str) {
        let begun = Instant::now();
        while self.eval_in_frame(script) != Value::Bool(true) {
            let frame =
                self.eval("[...document.querySelectorAll('iframe')].map(it => it.src).join()");
            assert!(begun.elapsed() < LIMIT, "it never was true in {frame}: {script}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A picture of the window, as `png` or, at a third of the size, as `webp`.
    pub fn picture(&mut self, format: &str) -> Vec<u8> {
        // Two frames later, everything that was changed is drawn.
        self.eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");
        let result = self.call("Page.captureScreenshot", json!({"format": format, "quality": 85}));
        base64(result["data"].as_str().unwrap_or_default())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => Some(u32::from(letter - b'A')),
        b'a'..=b'z' => Some(u32::from(letter - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(letter - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u32> = text.bytes().filter_map(digit).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let value =
            group.iter().fold(0, |value, digit| value << 6 | digit) << (6 * (4 - group.len()));
        bytes.extend(&value.to_be_bytes()[1..group.len()]);
    }
    bytes
}
