/* SPDX-License-Identifier: Apache-2.0
 *
 * A bundle on disk, and the verdict on it.
 *
 * Nobody but the worker (outboard-bundle-worker: no user id, no file system, no network, no new
 * descriptors but those it is sent) parses a plist, a manifest or a signature or hashes a file. Who
 * wants a verdict walks the tree itself, without following a link, and sends each regular file's
 * descriptor: bundle_verify() below does both ends of that and is what outboardd, outboardctl and
 * the tests call. It links neither OpenSSL nor libplist.
 *
 *   App.app/Contents/Info.plist
 *   App.app/Contents/MacOS/<executable>
 *   App.app/Contents/_Signature/manifest, manifest.minisig
 *   App.app/Contents/Library/SystemExtensions/<identifier>.systemextension/Contents/Info.plist,
 *           Contents/MacOS/<executable>, Contents/_Signature/manifest, manifest.minisig
 *   App.app/Contents/Library/SystemExtensions/<identifier>.dext/Info.plist, <executable>,
 *           _Signature/manifest, manifest.minisig          (a dext is flat)
 *
 * The app's manifest covers the whole of the app, the nested bundles with their manifests included.
 */
#ifndef OB_BUNDLE_BUNDLE_H
#define OB_BUNDLE_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/rules.h"

#define BUNDLE_IDENTIFIER_BYTES 256
#define BUNDLE_VERSION_BYTES 64
#define BUNDLE_NAME_BYTES 256
#define BUNDLE_TEAM_BYTES 16   /* 10 characters of base32 and NUL */
#define BUNDLE_DIGEST_BYTES 65 /* SHA-256 of the manifest in hex, and NUL: the bundle's identity */
#define BUNDLE_ENTITLEMENTS_BYTES 8192 /* canonical JSON, keys sorted */

enum bundle_kind { BUNDLE_APP, BUNDLE_SYSX, BUNDLE_DEXT };

/* OSSystemExtension categories; a bundle may have several. */
#define BUNDLE_CATEGORY_ENDPOINT_SECURITY 0x1u
#define BUNDLE_CATEGORY_NETWORK_EXTENSION 0x2u
#define BUNDLE_CATEGORY_DRIVER_EXTENSION 0x4u

/* Entitlements that decide something in the manager or a broker, as bits beside the JSON. */
#define ENTITLEMENT_SYSTEM_EXTENSION_INSTALL \
	0x0001u /* com.apple.developer.system-extension.install */
#define ENTITLEMENT_ENDPOINT_SECURITY_CLIENT \
	0x0002u				      /* com.apple.developer.endpoint-security.client */
#define ENTITLEMENT_NETWORK_EXTENSION 0x0004u /* com.apple.developer.networking.networkextension */
#define ENTITLEMENT_DRIVERKIT 0x0008u	      /* com.apple.developer.driverkit */
#define ENTITLEMENT_REDISTRIBUTABLE \
	0x0010u /* com.apple.developer.system-extension.redistributable */
#define ENTITLEMENT_FILE_SYSTEM_WRITE \
	0x0020u /* org.outboard.file-system.write: paths are in the JSON */

#define BUNDLE_EARLY_BOOT 0x1u	    /* NSEndpointSecurityEarlyBoot */
#define BUNDLE_REBOOT_REQUIRED 0x2u /* NSEndpointSecurityRebootRequired */

/* What the worker found. Fixed width, since it comes over the wire; every string is terminated. */
struct bundle_info {
	uint32_t kind;				  /* enum bundle_kind */
	uint32_t categories;			  /* BUNDLE_CATEGORY_* */
	uint32_t entitlement_bits;		  /* ENTITLEMENT_* */
	uint32_t flags;				  /* BUNDLE_EARLY_BOOT ... */
	char identifier[BUNDLE_IDENTIFIER_BYTES]; /* CFBundleIdentifier */
	char version[BUNDLE_VERSION_BYTES];	  /* CFBundleVersion */
	char short_version[BUNDLE_VERSION_BYTES]; /* CFBundleShortVersionString */
	char name[BUNDLE_NAME_BYTES]; /* CFBundleDisplayName or CFBundleName or the executable */
	char executable[BUNDLE_NAME_BYTES]; /* path below the bundle: "Contents/MacOS/agent" */
	char usage[1024]; /* NSSystemExtensionUsageDescription or OSBundleUsageDescription */
	char service
		[2]
		[BUNDLE_IDENTIFIER_BYTES]; /* NSEndpointSecurityMachServiceName, NEMachServiceName; "" none */
	char team[BUNDLE_TEAM_BYTES];	   /* "" when unsigned (developer mode only) */
	char team_name[BUNDLE_NAME_BYTES]; /* from the team's registration */
	char digest[BUNDLE_DIGEST_BYTES];
	char entitlements[BUNDLE_ENTITLEMENTS_BYTES];
	uint64_t n_files, n_bytes;
};

/* Limits: a bundle that is larger is refused by rule, before anything of it is read. */
#define BUNDLE_FILES_MAX 65536u
#define BUNDLE_BYTES_MAX (4ull << 30)
#define BUNDLE_DEPTH_MAX 32u
#define BUNDLE_PLIST_BYTES_MAX (1u << 20)
#define BUNDLE_MANIFEST_BYTES_MAX (16u << 20)

#define BUNDLE_ALLOW_UNSIGNED \
	0x1u		      /* developer mode: no signature, or of an unknown team, is accepted */
#define BUNDLE_SKIP_CODE 0x2u /* parse and check the signature; hash Info.plist only (inspect) */

/**
 * bundle_verify() - the whole verdict on the bundle that @dir_fd is open on
 * @dir_fd:     directory, borrowed: "X.app", "ID.systemextension" or "ID.dext"
 * @name:       that directory's own name, "ID.systemextension": must agree with what is in it
 * @path:       for messages only
 * @flags:      BUNDLE_ALLOW_UNSIGNED, ...
 * @ret:        on 0
 * @ret_error:  on 1: the bundle is refused, and by which rule
 *
 * Starts a worker, waits for it at most 60 s. For a bundle that can change while it is read the
 * caller verifies its own copy: bundle_copy() first.
 *
 * 0; 1 refused, which a bundle is that cannot be read; -errno Outboard's own trouble (no worker, out of
 * memory or descriptors): @ret_error has no rule then.
 */
int bundle_verify(int dir_fd, const char *name, const char *path, unsigned flags,
	struct bundle_info *ret, struct wire_error *ret_error);

/*
 * The same without waiting, for an event loop: the caller polls fd for POLLIN, calls
 * bundle_job_process() then, and frees the job. 0 finished (as bundle_verify), -EAGAIN not yet.
 */
struct bundle_job;
int bundle_job_new(
	int dir_fd, const char *name, const char *path, unsigned flags, struct bundle_job **ret);
int bundle_job_get_fd(const struct bundle_job *job);
int bundle_job_process(struct bundle_job *job, int *ret_verdict, struct bundle_info *ret,
	struct wire_error *ret_error);
struct bundle_job *bundle_job_free(
	struct bundle_job *job); /* kills its worker when still running */
DEFINE_CLEANUP(struct bundle_job, bundle_job_free)

/**
 * bundle_copy() - copy a bundle into a folder of root's, byte by byte, parsing nothing
 * @source_fd: directory, borrowed; nothing below it is followed
 * @target_fd: an empty directory, borrowed
 *
 * Directories become 0755, files 0644 or 0755 (when executable for the owner), root's. Links stay
 * links when they end inside the bundle. Anything else (device, socket, fifo, link out) is refused.
 *
 * 0; 1 refused; -errno of reading (@ret_error is filled then too: -EIO is rule bundle.unreadable)
 * or of writing (-ENOSPC, ...: @ret_error is the rule staging.*); of what this process is short of
 * while it reads (-EMFILE, ...), and @ret_error is untouched.
 */
int bundle_copy(int source_fd, int target_fd, const char *path, struct wire_error *ret_error);

/* SHA-256 in hex of Contents/_Signature/manifest (or _Signature/manifest): what the bundle claims to be. Cheap. */
int bundle_read_digest(int dir_fd, const char *name, char ret[static BUNDLE_DIGEST_BYTES]);

/* "X.app" that holds @executable ("/opt/X.app/Contents/MacOS/X"): its path, or -ENOENT. */
int bundle_app_of_executable(const char *executable, char ret[static 4096]);

#endif
