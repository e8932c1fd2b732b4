/* SPDX-License-Identifier: Apache-2.0
 *
 * The types that only their own calls look into.
 */
#ifndef ENDPOINT_SECURITY_ES_OPAQUE_TYPES_H
#define ENDPOINT_SECURITY_ES_OPAQUE_TYPES_H

/* A client: made by es_new_client(), ended by es_delete_client(). */
typedef struct es_client_s es_client_t;

#endif
