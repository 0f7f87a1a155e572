//! What the machine is, and what a running process has used.

use std::process::Command;
use std::{fs, thread};

use crate::Summary;

/// User and system time of a process that runs, in seconds.
pub fn cpu_of(id: u32) -> Summary<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The second word, the name, may hold spaces; it ends with the last bracket.
    let words: Vec<&str> = text.rsplit_once(") ").ok_or("/proc/PID/stat")?.1.split(' ').collect();
    let ticks: f64 = words
        .get(11..13)
        .unwrap_or_default()
        .iter()
        .filter_map(|word| word.parse::<f64>().ok())
        .sum();
    // Linux tells all programs that it counts in hundredths, whatever it counts in.
    Ok(ticks / 100.0)
}

/// How much memory a running process has, in MiB: `VmRSS` now, `VmHWM` at most so far.
pub fn memory_of(id: u32, which: &str) -> Summary<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let value = |line: &str| Some(line.strip_prefix(which)?.strip_prefix(':')?.trim().to_owned());
    let value = text.lines().find_map(value).ok_or("/proc/PID/status")?;
    Ok(value.trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// What else the machine has been doing: the load over the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

/// How many cores there are, and of which processor.
pub fn processor() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    format!("{cores} cores ({model})")
}

/// What a program says in one line.
pub fn say(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
