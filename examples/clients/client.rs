// SPDX-License-Identifier: Apache-2.0
//
// A client of Endpoint Security in Rust: it starts a program and waits until it is told of it, by
// path and pid. The structs are those of <EndpointSecurity/ESMessage.h>, as far as they are read.
// client [PROGRAM [ARGUMENT...]]
use std::ffi::{c_void, CStr};
use std::os::raw::{c_char, c_int};
use std::{env, process, ptr, sync::mpsc, time::Duration};

#[repr(C)]
struct StringToken { length: usize, data: *const c_char }
#[repr(C)]
#[derive(Clone, Copy)]
struct AuditToken { val: [u32; 8] }
#[repr(C)]
struct File { path: StringToken }
#[repr(C)]
struct Process {
    audit_token: AuditToken, ppid: c_int, original_ppid: c_int, group_id: c_int, session_id: c_int,
    codesigning_flags: u32, is_platform_binary: bool, is_es_client: bool, cdhash: [u8; 20],
    signing_id: StringToken, team_id: StringToken, executable: *const File,
}
#[repr(C)]
struct Message {
    version: u32, time: [i64; 2], mach_time: u64, deadline: u64, process: *const Process, seq_num: u64,
    action_type: u32, action: [u32; 9], event_type: u32, exec_target: *const Process,
}
const NOTIFY_EXEC: u32 = 9;
type Handler = extern "C" fn(*mut c_void, *const Message, *mut c_void);

#[link(name = "EndpointSecurity")]
extern "C" {
    fn es_new_client_f(client: *mut *mut c_void, context: *mut c_void, handler: Handler) -> u32;
    fn es_subscribe(client: *mut c_void, events: *const u32, count: u32) -> u32;
    fn es_delete_client(client: *mut c_void) -> u32;
    fn audit_token_to_pid(token: AuditToken) -> c_int;
}

// On a thread of the library's; the message is borrowed.
extern "C" fn handler(_: *mut c_void, message: *const Message, context: *mut c_void) {
    let seen = unsafe { &*(context as *const mpsc::Sender<(c_int, String)>) };
    let target = unsafe { &*(*message).exec_target };
    let path = unsafe { CStr::from_ptr((*target.executable).path.data) };
    let _ = seen.send((unsafe { audit_token_to_pid(target.audit_token) }, path.to_string_lossy().into_owned()));
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let (sender, seen) = mpsc::channel::<(c_int, String)>();
    let mut client = ptr::null_mut();
    let result = unsafe { es_new_client_f(&mut client, &sender as *const _ as *mut c_void, handler) };
    assert_eq!(result, 0, "es_new_client_f");
    assert_eq!(unsafe { es_subscribe(client, &NOTIFY_EXEC, 1) }, 0, "es_subscribe");
    let mut program = process::Command::new(words.get(0).map_or("/bin/true", |word| word))
        .args(words.iter().skip(1)).spawn().expect("the program does not start");
    let (pid, path) = loop {
        let event = seen.recv_timeout(Duration::from_secs(20)).expect("nothing was seen");
        if event.0 as u32 == program.id() {
            break event;
        }
    };
    program.wait().expect("wait");
    println!("saw {} {}", pid, path);
    unsafe { es_delete_client(client) };
}
