#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A client of Endpoint Security in Python: it starts a program and waits until it is told of it, by
# path and pid. The structs are those of <EndpointSecurity/ESMessage.h>, as far as they are read.
# client.py [PROGRAM [ARGUMENT...]]
import ctypes as c, queue, subprocess, sys

def struct(name, *fields):
    return type(name, (c.Structure,), {"_fields_": fields})

String = struct("es_string_token_t", ("length", c.c_size_t), ("data", c.c_char_p))
Token = struct("audit_token_t", ("val", c.c_uint32 * 8))
File = struct("es_file_t", ("path", String))
Process = struct("es_process_t", ("audit_token", Token), ("ppid", c.c_int32), ("original_ppid", c.c_int32),
    ("group_id", c.c_int32), ("session_id", c.c_int32), ("codesigning_flags", c.c_uint32),
    ("is_platform_binary", c.c_bool), ("is_es_client", c.c_bool), ("cdhash", c.c_uint8 * 20),
    ("signing_id", String), ("team_id", String), ("executable", c.POINTER(File)))
Message = struct("es_message_t", ("version", c.c_uint32), ("time", c.c_int64 * 2), ("mach_time", c.c_uint64),
    ("deadline", c.c_uint64), ("process", c.POINTER(Process)), ("seq_num", c.c_uint64), ("action_type", c.c_uint32),
    ("action", c.c_uint32 * 9), ("event_type", c.c_uint32), ("exec_target", c.POINTER(Process)))
NOTIFY_EXEC = 9

es, outboard = c.CDLL("libEndpointSecurity.so.0"), c.CDLL("liboutboard.so.0")
outboard.audit_token_to_pid.argtypes = [Token]
Handler = c.CFUNCTYPE(None, c.c_void_p, c.POINTER(Message), c.c_void_p)
seen = queue.Queue()

@Handler
def handler(client, message, context):  # on a thread of the library's; the message is borrowed
    target = message.contents.exec_target.contents
    seen.put((outboard.audit_token_to_pid(target.audit_token), target.executable.contents.path.data.decode()))

client = c.c_void_p()
result = es.es_new_client_f(c.byref(client), None, handler)
if result != 0:
    sys.exit(f"es_new_client_f: {result}")
if es.es_subscribe(client, (c.c_uint32 * 1)(NOTIFY_EXEC), 1) != 0:
    sys.exit("es_subscribe failed")
program = subprocess.Popen(sys.argv[1:] or ["/bin/true"])
while (event := seen.get(timeout=20))[0] != program.pid:
    pass
program.wait()
print("saw", *event)
es.es_delete_client(client)
