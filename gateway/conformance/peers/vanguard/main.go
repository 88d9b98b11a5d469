// Command vanguard serves the conformance contract by vanguard-go, for scoring:
//
//	vanguard -port 8082 -backend 127.0.0.1:7000 -image contract.binpb [-lenient]
//	vanguard -check < image.binpb    exits with 0 when it would boot over the image
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"

	"connectrpc.com/vanguard"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func main() {
	port := flag.Int("port", 8082, "where to listen")
	backend := flag.String("backend", "127.0.0.1:7000", "host:port of the gRPC server")
	image := flag.String("image", "", "a FileDescriptorSet")
	lenient := flag.Bool("lenient", false, "skip what the contract does not know")
	check := flag.Bool("check", false, "read an image and say whether it can be served")
	flag.Parse()
	if *check {
		set, err := io.ReadAll(os.Stdin)
		if err == nil {
			_, err = handler(set, "boot.v1.", http.NotFoundHandler(), false)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	set, err := os.ReadFile(*image)
	if err != nil {
		log.Fatal(err)
	}
	transcoder, err := handler(set, "conformance.v1.", proxyTo(*backend), *lenient)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", *port), Handler: transcoder, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	log.Fatal(server.ListenAndServe())
}

// handler transcodes to every service of the image whose name has the prefix.
func handler(image []byte, prefix string, target http.Handler, lenient bool) (handler http.Handler, err error) {
	// Some templates make it panic.
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	files, types, err := read(image)
	if err != nil {
		return nil, err
	}
	var services []*vanguard.Service
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			if service := file.Services().Get(i); strings.HasPrefix(string(service.FullName()), prefix) {
				services = append(services, vanguard.NewServiceWithSchema(service, buffered(service, target)))
			}
		}
		return true
	})
	return vanguard.NewTranscoder(services,
		vanguard.WithDefaultServiceOptions(
			vanguard.WithTargetProtocols(vanguard.ProtocolGRPC),
			vanguard.WithTargetCodecs(vanguard.CodecProto),
			vanguard.WithNoTargetCompression(),
			vanguard.WithTypeResolver(types),
			vanguard.WithRESTUnmarshalOptions(vanguard.RESTUnmarshalOptions{DiscardUnknownQueryParams: lenient}),
			vanguard.WithMaxMessageBufferBytes(16<<20),
		),
		// Its default writes default values and skips unknown fields.
		vanguard.WithCodec(func(resolver vanguard.TypeResolver) vanguard.Codec {
			return &vanguard.JSONCodec{
				MarshalOptions:   protojson.MarshalOptions{Resolver: resolver},
				UnmarshalOptions: protojson.UnmarshalOptions{Resolver: resolver, DiscardUnknown: lenient},
			}
		}),
	)
}

// buffered reads the whole request of a method that takes one message before the backend is called. The reverse proxy would
// read it while it sends: a mistake in it would then break off a call that is under way, and a panic end the process.
func buffered(service protoreflect.ServiceDescriptor, target http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		name := protoreflect.Name(request.URL.Path[strings.LastIndexByte(request.URL.Path, '/')+1:])
		if method := service.Methods().ByName(name); method != nil && !method.IsStreamingClient() {
			body, err := io.ReadAll(request.Body)
			// Vanguard has answered by then when the request could not be read, and shows that as an empty body.
			if err != nil || len(body) < 5 {
				return
			}
			request.Body = io.NopCloser(bytes.NewReader(body))
		}
		target.ServeHTTP(writer, request)
	})
}

// read parses an image with the options of google.api.http as they are compiled in here.
func read(image []byte) (*protoregistry.Files, *dynamicpb.Types, error) {
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(image, set); err != nil {
		return nil, nil, err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, nil, err
	}
	return files, dynamicpb.NewTypes(files), nil
}

func proxyTo(backend string) http.Handler {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend})
	proxy.Transport = &http.Transport{Protocols: protocols}
	proxy.FlushInterval = -1
	proxy.ErrorLog = log.New(new(bytes.Buffer), "", 0)
	return proxy
}
