/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The kernel's types, as far as the programs here read them: relocated by name when they are
 * loaded (preserve_access_index), so that one object fits every kernel from 6.1. What has another
 * name or shape in a later kernel stands in a second type with ___ in its name.
 */
#ifndef OB_ENDPOINT_BPF_KERNEL_H
#define OB_ENDPOINT_BPF_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
/* names that libbpf's headers use */
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;

enum { false, true };
typedef _Bool bool;

/* include/uapi/linux/bpf.h: the kernel's numbers never change */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_CGROUP_ARRAY = 8,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_F_NO_PREALLOC = 1, BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_ANY, BPF_NOEXIST, BPF_EXIST };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };

struct bpf_dynptr {
	u64 opaque[2];
} __attribute__((aligned(8)));

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	u32 inum;
};
struct pid_namespace {
	struct ns_common ns;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};
struct kuid_s {
	u32 val;
};
struct atomic_s {
	int counter;
};
struct cred {
	struct kuid_s uid, gid, euid, egid;
};
struct qstr {
	u32 len;
	const unsigned char *name;
};
struct hlist_bl_node {
	void *next, **pprev;
};
struct inode;
struct super_block;
struct list_head {
	struct list_head *next, *prev;
};
struct hlist_node {
	struct hlist_node *next, **pprev;
};
struct hlist_head {
	struct hlist_node *first;
};
struct dentry {
	unsigned int d_flags;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
	struct hlist_bl_node d_hash;
	/* from 6.8 on */
	struct hlist_node d_sib;
	struct hlist_head d_children;
};
/* until 6.7 */
struct dentry___lists {
	struct list_head d_child, d_subdirs;
};
/* a number from 6.14 on; before that DCACHE_MOUNTED is a macro, 0x10000 */
enum dentry_flags {
	DCACHE_MOUNTED = 1 << 15,
};
struct file_system_type {
	const char *name;
};
struct super_block {
	u32 s_dev;
	unsigned long s_blocksize, s_flags, s_magic;
	struct file_system_type *s_type;
};
struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};
struct inode {
	u16 i_mode;
	struct kuid_s i_uid, i_gid;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	u32 i_rdev;
	s64 i_size;
	u8 i_blkbits;
	u64 i_blocks;
	u32 i_generation;
	struct atomic_s i_writecount;
	/* from 6.11 on */
	s64 i_atime_sec, i_mtime_sec, i_ctime_sec;
	u32 i_atime_nsec, i_mtime_nsec, i_ctime_nsec;
};
/* until 6.5 */
struct inode___plain_times {
	struct timespec64 i_atime, i_mtime, i_ctime;
};
/* 6.6: i_ctime hidden; 6.7 to 6.10: all three */
struct inode___hidden_times {
	struct timespec64 __i_atime, __i_mtime, __i_ctime;
};
struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
	struct super_block *mnt_sb;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct list_head mnt_mounts, mnt_child;
	const char *mnt_devname;
	struct mnt_namespace *mnt_ns;
	int mnt_id;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_mode, f_flags;
};
struct fs_struct {
	struct path root, pwd;
};
struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
	struct file *exe_file;
};
struct nsproxy {
	struct mnt_namespace *mnt_ns;
};
struct tty_driver {
	int major, minor_start;
};
struct tty_struct {
	int index;
	struct tty_driver *driver;
};
struct signal_struct {
	struct atomic_s live;
	struct task_struct *group_exec_task;
	struct pid *pids[4];
	int group_exit_code;
	struct tty_struct *tty;
};
struct kernel_siginfo {
	int si_signo, si_errno, si_code;
};
struct thread_info {
	u32 status;
};
struct task_struct {
	struct thread_info thread_info;
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	struct pid *thread_pid;
	const struct cred *cred;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct files_struct *files;
	struct css_set *cgroups;
	unsigned int ptrace;
	unsigned long atomic_flags;
	u64 start_boottime, self_exec_id;
	int exit_code;
	struct kuid_s loginuid;
	unsigned int sessionid;
};
struct linux_binprm {
	struct file *file;
	int argc;
	const char *filename, *interp;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};
struct files_struct {
	struct fdtable *fdt;
};
struct kernfs_node {
	u64 id;
};
struct cgroup {
	struct kernfs_node *kn;
	int level;
	struct cgroup *ancestors[1];
};
struct css_set {
	struct cgroup *dfl_cgrp;
};
struct pt_regs {
	unsigned long bx, cx, di, si, dx, r10, r8, orig_ax;
};
struct seq_file {
	void *private;
};
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct callback_head {
	struct callback_head *next;
};
/* from 6.7 on, commit 0ede61d8589c: files are freed when they are closed, not after a grace period */
struct file___freed_at_once {
	struct callback_head f_task_work;
};
struct kmem_cache {
	const char *name;
};
struct renamedata {
	struct dentry *old_dentry, *new_dentry;
	unsigned int flags;
};
struct vm_area_struct {
	unsigned long vm_flags;
	struct file *vm_file;
};

#pragma clang attribute pop

/* enum pid_type: the same since 4.19 */
enum { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID };

#endif
