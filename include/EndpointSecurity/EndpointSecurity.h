/* SPDX-License-Identifier: Apache-2.0
 *
 * The Endpoint Security API: to be told of what happens on the system, as macOS' header of the same
 * name. Link with -lEndpointSecurity. EndpointSecurity(7) says which events this version has.
 */
#ifndef ENDPOINT_SECURITY_ENDPOINT_SECURITY_H
#define ENDPOINT_SECURITY_ENDPOINT_SECURITY_H

#include <EndpointSecurity/ESTypes.h>
#include <EndpointSecurity/ESMessage.h>
#include <EndpointSecurity/ESClient.h>
#include <EndpointSecurity/ob_client.h>

#endif
