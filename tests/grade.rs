//! The grader, from outside: what it says of clients, good and bad.

#![cfg(unix)]

mod support;

mod grade {
    mod beginners;
    mod class_again;
    mod class_page;
    mod classes;
    mod clients;
    mod contract;
    mod mistakes;
    mod reports;
    mod scripts;
    mod settings;
    #[cfg(target_os = "linux")]
    mod submissions;
    #[cfg(target_os = "linux")]
    mod unruly;
    mod watching;
    mod xml;
}
