// Command grpc-gateway serves the conformance contract by grpc-gateway, for scoring:
//
//	grpc-gateway -port 8081 -backend 127.0.0.1:7000 [-lenient]
//
// The package gen is generated from the contract by score.ts, beside a copy of this file.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	// The types of error details.
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"

	conformance "heddle.test/peers/grpc-gateway/gen/conformance/v1"
)

func main() {
	port := flag.Int("port", 8081, "where to listen")
	backend := flag.String("backend", "127.0.0.1:7000", "host:port of the gRPC server")
	lenient := flag.Bool("lenient", false, "skip what the contract does not know")
	flag.Parse()
	// Its default writes default values and skips unknown fields.
	json := &runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: *lenient},
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: json}),
		runtime.WithMarshalerOption("application/x-protobuf", &runtime.ProtoMarshaller{}),
		// Of its modes the one that is nearest to http.proto.
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
	)
	ctx := context.Background()
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	for _, register := range []func(context.Context, *runtime.ServeMux, string, []grpc.DialOption) error{
		conformance.RegisterMatchingServiceHandlerFromEndpoint,
		conformance.RegisterEscapedServiceHandlerFromEndpoint,
		conformance.RegisterCustomServiceHandlerFromEndpoint,
		conformance.RegisterMethodsServiceHandlerFromEndpoint,
		conformance.RegisterBindingServiceHandlerFromEndpoint,
		conformance.RegisterBodyServiceHandlerFromEndpoint,
		conformance.RegisterPatchServiceHandlerFromEndpoint,
		conformance.RegisterResponseServiceHandlerFromEndpoint,
		conformance.RegisterErrorServiceHandlerFromEndpoint,
		conformance.RegisterStreamServiceHandlerFromEndpoint,
		conformance.RegisterClientStreamServiceHandlerFromEndpoint,
		conformance.RegisterHttpBodyServiceHandlerFromEndpoint,
	} {
		if err := register(ctx, mux, *backend, options); err != nil {
			log.Fatal(err)
		}
	}
	log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), mux))
}
